// One client edits, another sees it: how long that takes. Arguments: SERVER EDITS PAUSE_MS, the shortest between two edits.
import { client, measure, pause } from './client.js'

const [server, edits, shortest] = process.argv.slice(2).map((word, at) => at === 0 ? word : Number(word))

const [writer, reader] = [client(server), client(server)]
await Promise.all([writer.introduced, reader.introduced])
await measure(async () => {
  const written = writer.repo.create({ edit: -1 })
  await writer.told(written)
  const seen = await reader.find(written.url)
  const [made, took] = [[], []]
  const all = new Promise(resolve => {
    seen.on('change', () => {
      const now = performance.now()
      // What arrives at once was seen at once.
      while (took.length <= seen.doc().edit) took.push(now - made[took.length])
      if (took.length === edits) resolve()
    })
  })
  for (let number = 0; number < edits; number += 1) {
    // Uneven, so that no clock of a server is met in step; not at random, so that all servers have the same.
    await pause(shortest * (1 + number * 0.618 % 1))
    made.push(performance.now())
    written.change(doc => { doc.edit = number })
  }
  await all
  took.sort((one, other) => one - other)
  return { p50: took[Math.floor(edits / 2)] / 1000, p95: took[Math.floor(edits * 0.95)] / 1000 }
})
