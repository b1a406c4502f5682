// One client edits, another sees it: how long that takes. Arguments: SERVER EDITS.
import { client, measure, pause } from './client.js'

const [server, edits] = process.argv.slice(2)
/** Between two edits: longer than automerge-repo gathers changes, and not in step with it. */
const [PAUSE_MS, MORE_MS] = [150, 100]

const [writer, reader] = [client(server), client(server)]
await Promise.all([writer.introduced, reader.introduced])
await measure(async () => {
  const written = writer.repo.create({ edit: -1 })
  await writer.told(written)
  const seen = await reader.find(written.url)
  const times = []
  for (let number = 0; number < Number(edits); number += 1) {
    // Not at random: both servers have the same.
    await pause(PAUSE_MS + MORE_MS * (number * 0.618 % 1))
    const there = new Promise(resolve => {
      const look = () => {
        if (seen.doc().edit !== number) return
        seen.off('change', look)
        resolve(performance.now())
      }
      seen.on('change', look)
    })
    const start = performance.now()
    written.change(doc => { doc.edit = number })
    times.push((await there - start) / 1000)
  }
  times.sort((one, other) => one - other)
  return { p50: times[Math.floor(times.length / 2)], p95: times[Math.floor(times.length * 0.95)] }
})
