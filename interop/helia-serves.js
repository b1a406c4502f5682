// Files that Helia made, served as a trustless gateway that knows raw blocks alone: for nisse to read.
//
// node helia-serves.js FOLDER [FILE]: Helia adds some files of its own and FILE as `given`. Writes `served.json` there once it listens: its port, and for each file its CID and bytes.
// Of the file `spoilt` one leaf is given with a flipped bit, each time.

import { createHash } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import http from 'node:http'
import { unixfs } from '@helia/unixfs'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'

const [folder, given] = process.argv.slice(2)
const RAW = 0x55

/** Bytes without any pattern, other ones for each name. */
function noise (name, length) {
  const parts = []
  for (let at = 0; at * 32 < length; at += 1) parts.push(createHash('sha256').update(`${name} ${at}`).digest())
  return Buffer.concat(parts).subarray(0, length)
}

/** One block, however the block store gives it. */
async function block (node, cid) {
  const found = await node.blockstore.get(cid, { offline: true })
  if (found instanceof Uint8Array) return Buffer.from(found)
  return Buffer.concat(await Array.fromAsync(found))
}

const node = await createHeliaLight().start()
const files = {}

async function add (name, bytes, path) {
  const cid = await unixfs(node).addBytes(bytes)
  files[name] = { cid: cid.toString(), path }
}

if (given != null) await add('given', await readFile(given), given)
for (const [name, length] of [['small', 1_000], ['large', 20_000_000], ['spoilt', 3_000_000]]) {
  const bytes = noise(name, length)
  const path = `${folder}/${name}`
  await writeFile(path, bytes)
  await add(name, bytes, path)
}
const spoilt = new Set()
for await (const { cid } of leaves(CID.parse(files.spoilt.cid))) spoilt.add(cid.toString())
const victim = [...spoilt][1]

/** The leaves beneath a root. */
async function * leaves (cid) {
  if (cid.code === RAW) return yield { cid }
  const { decode } = await import('@ipld/dag-pb')
  for (const { Hash } of decode(await block(node, cid)).Links) yield * leaves(Hash)
}

const seen = { raw: 0, car: 0 }
const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost')
  const cid = CID.parse(url.pathname.split('/')[2])
  if (url.searchParams.get('format') === 'car') {
    seen.car += 1
    response.writeHead(406).end()
    return
  }
  seen.raw += 1
  const bytes = await block(node, cid).catch(() => undefined)
  if (bytes == null) return response.writeHead(404).end()
  if (cid.toString() === victim) bytes[bytes.length >> 1] ^= 1
  response.writeHead(200, { 'content-type': 'application/vnd.ipld.raw' }).end(bytes)
})
server.listen(0, '127.0.0.1', async () => {
  const served = JSON.stringify({ port: server.address().port, files, victim })
  await writeFile(`${folder}/served.json.new`, served)
  await rename(`${folder}/served.json.new`, `${folder}/served.json`)
})
