// What the scripts of the bench `spaces` share: a client that is the same for every server.
import { readFileSync, writeFileSync } from 'node:fs'
import { Repo } from '@automerge/automerge-repo'
import { WebSocketClientAdapter } from '@automerge/automerge-repo-network-websocket'

/** How long anything may take before a measurement counts as broken. */
const PATIENCE_MS = 300_000
/** Before a document is asked for again that a server did not have yet. */
const ASK_AGAIN_MS = 20

/** Stock automerge-repo, without a store of its own. */
export function client (url) {
  const adapter = new WebSocketClientAdapter(url)
  let storageId
  const introduced = new Promise(resolve => {
    adapter.on('peer-candidate', ({ peerMetadata }) => resolve(storageId = peerMetadata?.storageId))
  })
  const repo = new Repo({ network: [adapter] })

  /** Resolves once the server told these heads: nisse tells what is on its disk, automerge-repo what it has in memory. */
  async function told (handle) {
    await introduced
    const heads = String(handle.heads())
    await new Promise(resolve => {
      const look = () => {
        if (String(handle.getSyncInfo(storageId)?.lastHeads) !== heads) return
        handle.off('remote-heads', look)
        resolve()
      }
      handle.on('remote-heads', look)
      look()
    })
  }

  /** A document, asked for as often as the server says that it has none. */
  async function find (url) {
    for (;;) {
      try {
        return await repo.find(url)
      } catch (error) {
        if (!/unavailable/.test(error.message)) throw error
      }
      await pause(ASK_AGAIN_MS)
      repo.delete(url)
    }
  }

  return { repo, introduced, told, find }
}

export function pause (ms) {
  return new Promise(resolve => setTimeout(resolve, ms))
}

export const readUrls = file => JSON.parse(readFileSync(file, 'utf8'))
export const writeUrls = (file, handles) => writeFileSync(file, JSON.stringify(handles.map(({ url }) => url)))

/** Runs one measurement and prints its figures as JSON. */
export async function measure (act) {
  setTimeout(() => { throw new Error('waited in vain') }, PATIENCE_MS).unref()
  console.log(JSON.stringify(await act()))
  // Nothing is said in parting.
  process.exit(0)
}

export const secondsSince = start => (performance.now() - start) / 1000
