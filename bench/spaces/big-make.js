// Writes a document of as many changes of one character each, by one author. Arguments: CHANGES FILE.
import { writeFileSync } from 'node:fs'
import * as automerge from '@automerge/automerge'
import { measure } from './client.js'

const [changes, file] = process.argv.slice(2)
await measure(async () => {
  let document = automerge.from({ text: '' }, '00'.repeat(16))
  for (let number = 0; number < Number(changes); number += 1) {
    const letter = 'abcdefghijklmnopqrstuvwxyz '[number % 27]
    document = automerge.change(document, { time: 0 }, doc => automerge.splice(doc, ['text'], number, 0, letter))
  }
  const bytes = automerge.save(document)
  writeFileSync(file, bytes)
  return { bytes: bytes.length }
})
