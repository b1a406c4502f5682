// A file that nisse holds, read by Helia through nisse's trustless gateway: equal CIDs, equal bytes, no flipped byte.
//
// node helia.js GATEWAY_PORT FILE CID: one line for each thing shown; the first thing that fails ends it.
// Helia asks a delegated router who holds a block: nisse itself, or `router` where something stands in between.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import { withHTTP } from '@helia/http'
import { unixfs } from '@helia/unixfs'
import { createVerifiedFetch } from '@helia/verified-fetch'
import { createHeliaLight } from 'helia'
import { base58btc } from 'multiformats/bases/base58'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'

const [gatewayPort, file, expected] = process.argv.slice(2)
const FETCH_MS_MAX = 30_000
const CODECS = { leaf: 0x55, root: 0x70 }

/** Serves on a port of the system's choice. */
async function serve (answer) {
  const server = http.createServer((request, response) => {
    answer(request, response).catch(error => {
      response.statusCode = 500
      response.end(String(error))
    })
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  return { port: server.address().port, close: () => { server.closeAllConnections(); server.close() } }
}

/** The delegated router: everything is held by the gateway at this port. */
async function router (port) {
  const peer = base58btc.baseEncode((await sha256.digest(Buffer.from('a peer'))).bytes)
  const Providers = [{
    Schema: 'peer', ID: peer, Addrs: [`/dns4/localhost/tcp/${port}/http`], Protocols: ['transport-ipfs-gateway-http']
  }]
  return serve(async (request, response) => {
    const known = request.url.startsWith('/routing/v1/providers/')
    response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(known ? { Providers } : {}))
  })
}

/** A gateway in between that flips one bit of the first block asked for with codec `flips`, each time. Counts what passes. */
async function between (flips) {
  const seen = { blocks: 0, flipped: 0, victim: undefined, statuses: new Set() }
  const server = await serve(async (request, response) => {
    const { status, headers, body } = await get(request.url, request.headers.accept)
    const cid = CID.parse(new URL(request.url, 'http://localhost').pathname.split('/')[2])
    seen.blocks += 1
    seen.statuses.add(status)
    if (cid.code === flips) {
      seen.victim ??= cid.toString()
      if (seen.victim === cid.toString()) {
        body[body.length >> 1] ^= 1
        seen.flipped += 1
      }
    }
    response.writeHead(status, headers)
    response.end(body)
  })
  return { ...server, seen }
}

/** One request to nisse's public listener, under the node's own name. */
function get (path, accept) {
  return new Promise((resolve, reject) => {
    const headers = { host: 'localhost', ...(accept == null ? {} : { accept }) }
    http.get({ host: '127.0.0.1', port: gatewayPort, path, headers }, async response => {
      const { 'content-type': type } = response.headers
      const body = Buffer.concat(await Array.fromAsync(response))
      resolve({ status: response.statusCode, headers: type == null ? {} : { 'content-type': type }, body })
    }).on('error', reject)
  })
}

/** An empty Helia without libp2p, that knows one router and no public gateway. */
async function helia (routerPort) {
  const options = {
    delegatedRouters: [`http://127.0.0.1:${routerPort}`], recursiveGateways: [], allowInsecure: true, allowLocal: true
  }
  return withHTTP(createHeliaLight(), options).start()
}

/** Runs `story` with an empty Helia whose only router is nisse. */
async function straight (story) {
  const node = await helia(gatewayPort)
  try {
    return await story(node)
  } finally {
    await node.stop()
  }
}

/** Runs `story` with an empty Helia whose only gateway is at `port`. */
async function through (port, story) {
  const routing = await router(port)
  const node = await helia(routing.port)
  try {
    return await story(node)
  } finally {
    await node.stop()
    routing.close()
  }
}

async function cat (node) {
  const signal = AbortSignal.timeout(FETCH_MS_MAX)
  return Buffer.concat(await Array.fromAsync(unixfs(node).cat(CID.parse(expected), { signal })))
}

async function ipfsFetch (node) {
  const fetch = await createVerifiedFetch(node)
  return fetch(`ipfs://${expected}`, { signal: AbortSignal.timeout(FETCH_MS_MAX) })
}

const bytes = await readFile(file)
const same = (found, who) => assert.ok(bytes.equals(found), `${who} read other bytes (${found.length})`)
const timed = async (what, act) => {
  const start = performance.now()
  const said = await act()
  console.log(`ok: ${what}${said == null ? '' : `: ${said}`} (${(performance.now() - start).toFixed(0)} ms)`)
}

await timed('Helia adds the same bytes under the same CID', async () => {
  const node = await createHeliaLight().start()
  const cid = await unixfs(node).addBytes(bytes)
  await node.stop()
  assert.equal(cid.toString(), expected)
  return expected
})
await timed('Helia asks nisse who has the file, and reads it there', () => straight(async node => {
  same(await cat(node), 'Helia')
  return `${bytes.length} bytes`
}))
await timed('verified-fetch asks nisse who has the file, and reads it there', () => straight(async node => {
  const response = await ipfsFetch(node)
  assert.equal(response.status, 200)
  same(Buffer.from(await response.arrayBuffer()), 'verified-fetch')
}))
await timed('the proxy alone changes nothing', async () => {
  const honest = await between()
  await through(honest.port, async node => same(await cat(node), 'Helia'))
  honest.close()
  assert.deepEqual([...honest.seen.statuses], [200])
  assert.ok(honest.seen.blocks >= 4, `${honest.seen.blocks} blocks passed`)
  return `${honest.seen.blocks} blocks passed`
})
for (const [part, codec] of Object.entries(CODECS)) {
  await timed(`Helia refuses one flipped bit in a ${part}`, async () => {
    const liar = await between(codec)
    const refusal = await through(liar.port, cat).then(() => undefined, error => error)
    liar.close()
    assert.ok(refusal != null, 'Helia took a flipped block')
    assert.ok(refusal.message.includes(liar.seen.victim), `not refused for the flipped block: ${refusal}`)
    return `${refusal.name}: ${refusal.message}, sent ${liar.seen.flipped} times`
  })
}
await timed('verified-fetch refuses one flipped bit in a leaf', async () => {
  const liar = await between(CODECS.leaf)
  // What comes first is checked before the head leaves. A later leaf breaks the body off.
  const { status, body } = await through(liar.port, async node => {
    const response = await ipfsFetch(node)
    const body = await response.arrayBuffer().then(() => 'whole', error => String(error))
    return { status: response.status, body }
  })
  liar.close()
  assert.ok(liar.seen.flipped >= 1, 'no block was flipped')
  assert.ok(status === 504 || (status === 200 && body !== 'whole'), `status ${status}, ${body}`)
  return `status ${status}, ${body}`
})
process.exit(0)
