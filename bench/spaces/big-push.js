// Brings a document that was made before, and waits until the server told its heads. Arguments: SERVER FILE URLS.
import { readFileSync } from 'node:fs'
import { client, measure, secondsSince, writeUrls } from './client.js'

const [server, file, urls] = process.argv.slice(2)
const { repo, introduced, told } = client(server)
await introduced
await measure(async () => {
  const start = performance.now()
  const handle = repo.import(readFileSync(file))
  await told(handle)
  writeUrls(urls, [handle])
  return { seconds: secondsSince(start) }
})
