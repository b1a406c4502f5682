// Reads documents of which this client knows nothing but their URLs. Arguments: SERVER URLS.
import assert from 'node:assert/strict'
import { client, measure, readUrls, secondsSince } from './client.js'

const [server, urls] = process.argv.slice(2)
const { introduced, find } = client(server)
await introduced
await measure(async () => {
  const start = performance.now()
  const handles = await Promise.all(readUrls(urls).map(find))
  for (const handle of handles) assert.ok(handle.doc().text.length >= 100, handle.url)
  return { seconds: secondsSince(start) }
})
