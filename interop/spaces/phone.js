// The phone was never there together with the laptop. Arguments: TICKET ROOT COUNT.
import assert from 'node:assert/strict'
import { client, ok, within } from './world.js'

const [ticket, root, count] = process.argv.slice(2)
const start = performance.now()
const { space, repo } = client(ticket)
const home = await within('the root document', space.open(repo, root))
const urls = Object.values(home.doc())
assert.equal(urls.length, Number(count))
const documents = await within('all documents', Promise.all(urls.map(url => repo.find(url))))
const titles = documents.map(document => document.doc().title).sort()
assert.deepEqual(titles, Array.from({ length: Number(count) }, (_, number) => `document ${number}`).sort())
for (const document of documents) {
  const { title, words } = document.doc()
  assert.equal(`document ${words.length}`, title)
}
// What was read is the node's own: it has all heads.
await within('what is known to be durable', Promise.all(documents.map(document => space.durable(document))))
ok(`the phone reads all ${count} of them, after a kill -9 of the node`, start)
process.exit(0)
