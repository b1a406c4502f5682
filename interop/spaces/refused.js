// Tickets that let nobody in, and one whose time ends while it is in use. Arguments: TICKET SHORT ROOT.
import assert from 'node:assert/strict'
import http from 'node:http'
import { client, eventually, ok, within } from './world.js'

const [ticket, short, root] = process.argv.slice(2)
const start = performance.now()
const UPGRADE = {
  connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ=='
}

/** What a URL is answered with: the status, and what was said with it. */
function ask (url) {
  return new Promise((resolve, reject) => {
    const request = http.get(url.replace(/^ws/, 'http'), { headers: UPGRADE }, async response => {
      resolve([response.statusCode, Buffer.concat(await Array.fromAsync(response)).toString()])
    })
    request.on('upgrade', (response, socket) => { socket.destroy(); resolve([response.statusCode, '']) })
    request.on('error', reject)
  })
}

assert.deepEqual(await ask(ticket), [101, ''])
const letter = ticket.at(-40) === 'A' ? 'B' : 'A'
const wrong = {
  forged: ticket.slice(0, -40) + letter + ticket.slice(-39),
  'cut off': ticket.slice(0, -10),
  'for another space': ticket.replace(/spaces\/../, part => `spaces/${part.endsWith('00') ? '11' : '00'}`),
  missing: ticket.split('?')[0]
}
for (const [how, url] of Object.entries(wrong)) {
  const [status, said] = await ask(url)
  assert.deepEqual([status, said], [403, 'this ticket lets nobody in here; make another with `nisse space ticket`\n'], how)
}
// A client that is not let in lives on, and hears that it is not connected.
const nobody = client(wrong.forged)
let apart
nobody.space.onClosed(end => { apart ??= end })
await eventually('word of it', () => apart)
assert.equal(apart.code, 1006)
nobody.leave()

const passing = client(short)
let closed
passing.space.onClosed(end => { closed ??= end })
await within('the root document', passing.space.open(passing.repo, root))
await eventually('the end of its time', () => closed)
assert.equal(closed.code, 1008)
assert.ok(Date.now() >= passing.space.ticket.expires, 'it ended too early')
assert.equal((await ask(short))[0], 403)
// Another ticket takes its place, and the same documents go on.
passing.space.renew(ticket)
const home = await passing.repo.find(root)
home.change(doc => { doc.renewed = true })
await within('what was written meanwhile to be durable', passing.space.durable(home))
ok(`tickets that are ${Object.keys(wrong).join(', ')} or expired let nobody in`, start, `${closed.code} ${closed.reason}`)
process.exit(0)
