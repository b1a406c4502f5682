// Two clients, each in a process of its own, edit one document in turns. Arguments: TICKET DOCUMENT ME EDITS.
import { client, eventually, ok, within } from './world.js'

const [ticket, url, me, edits] = process.argv.slice(2)
const [turn, last] = [Number(me), 2 * Number(edits)]
const start = performance.now()
const { space, repo } = client(ticket)
const document = await within('the document', space.open(repo, url))
const said = () => Object.keys(document.doc()).length
for (let number = turn; number < last; number += 2) {
  await eventually(`edit ${number}`, () => said() >= number)
  document.change(doc => { doc[`edit ${number}`] = `by ${me}` })
}
await eventually('the last edit', () => said() === last)
await within('all to be durable', space.durable(document))
ok(`client ${me} made ${edits} edits, each after the other's`, start, document.heads().join(' '))
process.exit(0)
