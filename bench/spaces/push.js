// Makes small documents and waits until the server told the heads of all. Arguments: SERVER COUNT URLS.
import { client, measure, secondsSince, writeUrls } from './client.js'

const [server, count, urls] = process.argv.slice(2)
const { repo, introduced, told } = client(server)
await introduced
await measure(async () => {
  const start = performance.now()
  const handles = Array.from({ length: Number(count) }, (_, number) => repo.create({
    title: `document ${number}`, done: false, text: 'What has to be done, in some two hundred letters. '.repeat(3)
  }))
  await Promise.all(handles.map(told))
  writeUrls(urls, handles)
  return { seconds: secondsSince(start) }
})
