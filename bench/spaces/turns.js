// Two clients answer each other's edits at once: how long one takes to the other. Arguments: SERVER EDITS.
import { client, measure } from './client.js'

const [server, edits] = [process.argv[2], Number(process.argv[3])]

const [one, other] = [client(server), client(server)]
await Promise.all([one.introduced, other.introduced])
await measure(async () => {
  const first = one.repo.create({ edit: -1 })
  await one.told(first)
  const handles = [first, await other.find(first.url)]
  const took = []
  let made
  const edit = number => {
    made = performance.now()
    handles[number % 2].change(doc => { doc.edit = number })
  }
  const all = new Promise(resolve => {
    handles.forEach((handle, me) => handle.on('change', () => {
      // The other's newest edit, not one's own.
      const { edit: seen } = handle.doc()
      if (seen !== took.length || seen % 2 === me) return
      took.push(performance.now() - made)
      if (took.length === edits) resolve()
      else edit(seen + 1)
    }))
  })
  edit(0)
  await all
  took.sort((a, b) => a - b)
  return { p50: took[Math.floor(edits / 2)] / 1000, p95: took[Math.floor(edits * 0.95)] / 1000 }
})
