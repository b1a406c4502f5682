// A reader's edit reaches nobody, and the reader is told. Arguments: TO_READ TO_EDIT ROOT.
import assert from 'node:assert/strict'
import { client, eventually, ok, within } from './world.js'

const [toRead, toEdit, root] = process.argv.slice(2)
const start = performance.now()
const [reader, writer] = [client(toRead), client(toEdit)]
assert.deepEqual([reader.space.mayWrite, writer.space.mayWrite], [false, true])
const [read, written] = await within('the root document', Promise.all(
  [reader, writer].map(({ space, repo }) => space.open(repo, root))
))
await within('what is there to be known as durable', reader.space.durable(read))
const told = []
reader.space.onRefused(sentence => told.push(sentence))
read.change(doc => { doc.forged = 'by a reader' })
const refusal = await within('a refusal', reader.space.durable(read).then(() => undefined, error => error.message))
assert.match(refusal, /^changes to \S+ are not taken: your role here is `read`, and `edit` is needed$/)
assert.deepEqual(told, [refusal])
// Not even while it goes on: the writer's next edit is seen by the reader, and the reader's by nobody.
written.change(doc => { doc.fair = 'by a writer' })
await within('the edit to be durable', writer.space.durable(written))
await eventually('the edit at the reader', () => read.doc().fair === 'by a writer')
const stranger = client(toEdit)
const seen = await within('the root document', stranger.space.open(stranger.repo, root))
await eventually('the edit at somebody else', () => seen.doc().fair === 'by a writer')
for (const document of [written, seen]) assert.equal(document.doc().forged, undefined)
await assert.rejects(reader.space.durable(read), /your role here/)
ok("a reader's edit reaches nobody, and the reader is told", start, refusal)
process.exit(0)
