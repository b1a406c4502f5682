// The laptop writes, waits until all of it is durable, and is gone. Arguments: TICKET ROOT COUNT.
import { client, ok, within } from './world.js'

const [ticket, root, count] = process.argv.slice(2)
const start = performance.now()
const { space, repo } = client(ticket)
const home = await space.open(repo, root)
const documents = Array.from({ length: Number(count) }, (_, number) => {
  return repo.create({ title: `document ${number}`, words: Array(number).fill('word') })
})
for (const document of documents) {
  home.change(doc => { doc[document.documentId] = document.url })
}
await within('all to be durable', Promise.all([home, ...documents].map(document => space.durable(document))))
ok(`the laptop made ${count} documents, and the node has them on its disk`, start)
// Nothing is said in parting.
process.exit(0)
