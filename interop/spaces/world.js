// What the scripts of the story `spaces` share: a client of its own process, and words on what was seen.
import assert from 'node:assert/strict'
import { Repo } from '@automerge/automerge-repo'
import { WebSocketClientAdapter } from '@automerge/automerge-repo-network-websocket'
import { connect } from './nisse-client.js'

/** How long anything may take before a story counts as broken: other builds share the machine. */
export const PATIENCE_MS = 30_000

export function within (what, promise) {
  const late = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE_MS).unref()
  })
  return Promise.race([promise, late])
}

/** Looks again and again until there is something. */
export async function eventually (what, look) {
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const found = await look()
    if (found) return found
    assert.ok(Date.now() < end, `waited in vain for ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/** A client in a space: stock automerge-repo, without a store of its own. */
export function client (ticket) {
  const space = connect(ticket, WebSocketClientAdapter)
  const repo = new Repo({ network: [space.adapter] })
  return { space, repo, leave: () => repo.shutdown() }
}

export function ok (what, start, said) {
  const took = (performance.now() - start).toFixed(0)
  console.log(`ok: ${what}${said === undefined ? '' : `: ${said}`} (${took} ms)`)
}
