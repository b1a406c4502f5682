// Writes a document of as many changes of one character each, by one author. Arguments: CHANGES FILE.
import { writeFileSync } from 'node:fs'
import * as automerge from '@automerge/automerge'
import { measure } from './client.js'

const [changes, file] = process.argv.slice(2)
await measure(async () => {
  let [document, at, seed] = [automerge.from({ text: '' }, '00'.repeat(16)), 0, 1]
  for (let number = 0; number < Number(changes); number += 1) {
    seed = (seed * 48271) % 2147483647
    // Letters follow each other, and every sixteenth stands somewhere else, as when somebody writes.
    at = seed % 16 === 0 ? seed % (number + 1) : at + 1
    const letter = 'abcdefghijklmnopqrstuvwxyz '[(seed >> 8) % 27]
    document = automerge.change(document, { time: number }, doc => {
      automerge.splice(doc, ['text'], Math.min(at, number), 0, letter)
    })
  }
  const bytes = automerge.save(document)
  writeFileSync(file, bytes)
  return { bytes: bytes.length }
})
