// For apps on stock automerge-repo whose space is kept by nisse: logging in, what is durable, what is refused.
// It brings no dependency: the app gives its own WebSocketClientAdapter. Everything here works without it, too; what is
// told here is what the stock adapter hears and tells nobody.

const ROLES = ['relay', 'read', 'edit', 'admin']
const TICKET_PREFIX = 'nst1_'
const SIGNATURE_BYTES = 64
/** States of a document that are remembered while it waits to be durable. */
const STATES_MAX = 1000
/** Where a page remembers which space it is logged in to. The ticket is in a cookie that no script reads. */
const KEPT = 'nisse-space'

/** What a ticket's URL says, read and not checked: `{ url, space, role, expires }`, the time in milliseconds since 1970. */
export function readTicket (url) {
  const { pathname, searchParams } = new URL(url)
  const space = /^\/spaces\/([^/]+)$/.exec(pathname)?.[1]
  const text = searchParams.get('ticket') ?? ''
  if (space === undefined || !text.startsWith(TICKET_PREFIX)) {
    throw new Error('failed to read a ticket: expected the URL that `nisse space ticket` prints')
  }
  try {
    const base64 = text.slice(TICKET_PREFIX.length).replaceAll('-', '+').replaceAll('_', '/')
    const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0))
    const [, , , , role, expires] = readCbor(bytes.subarray(SIGNATURE_BYTES))
    if (ROLES[role] === undefined || !Number.isSafeInteger(expires)) throw new Error('other values')
    return { url, space, role: ROLES[role], expires }
  } catch (cause) {
    throw new Error('failed to read a ticket: it was cut or changed', { cause })
  }
}

/**
 * Logs this page in by its link, `https://app/#space=TICKET`, and takes the ticket out of the address bar before anything
 * else; without one, goes on with the login of before. Resolves to what `connect` takes, `{ url, space, root, role, expires }`,
 * or to nothing where there is none.
 */
export async function login () {
  const fragment = new URLSearchParams(location.hash.slice(1))
  const given = fragment.get('space')
  if (given !== null) {
    fragment.delete('space')
    history.replaceState(history.state, '', location.pathname + location.search + (`${fragment}` && `#${fragment}`))
    const url = readTicket(given).url.replace(/[?#].*/, '')
    const answer = await session(url, 'POST', new URL(given).searchParams.get('ticket'))
    if (!answer.ok) throw new Error(`failed to log in: ${await answer.text()}`)
    localStorage.setItem(KEPT, url)
  }
  const url = localStorage.getItem(KEPT)
  const answer = url === null ? undefined : await session(url, 'GET')
  if (answer?.ok) return { ...await answer.json(), url }
  if (answer && answer.status !== 403) throw new Error(`failed to log in: ${await answer.text()}`)
  if (given !== null) throw new Error(`failed to log in: the browser keeps no cookie of ${url} for a page of another site`)
}

function session (url, method, body) {
  return fetch(`${url.replace(/^ws/, 'http')}/session`, { method, body, credentials: 'include' }).catch(cause => {
    throw new Error(`failed to reach the node, or its \`listen.origins\` does not list ${location.origin}`, { cause })
  })
}

/** A connection to a space, by a ticket's URL or by what `login` found: give its `adapter` to a Repo. */
export const connect = (by, WebSocketClientAdapter) => new Space(by, WebSocketClientAdapter)

/** Returns what ends it. */
const listen = (all, told) => all.add(told) && (() => all.delete(told))

class Space {
  /** What its ticket says, what a Repo takes among its `network`, and what the node calls its store once it was heard of. */
  ticket; adapter; storageId
  #refused = new Set(); #closed = new Set(); #waiting = new Set()
  /** By document: said once for each, and true until there is another ticket. */
  #forGood = new Map()

  constructor (by, WebSocketClientAdapter) {
    this.ticket = typeof by === 'string' ? readTicket(by) : by
    const space = this
    class Adapter extends WebSocketClientAdapter {
      connect (...whom) {
        super.connect(...whom)
        this.socket.addEventListener('close', ({ code, reason }) => {
          space.#closed.forEach(told => told({ code, reason: String(reason ?? '') }))
        })
      }

      // The stock adapter throws here in Node.js, where nobody can catch it. A connection that fails also closes.
      onError = () => {}

      receiveMessage (bytes) {
        super.receiveMessage(bytes)
        space.#heard(new Uint8Array(bytes))
      }
    }
    this.adapter = new Adapter(this.ticket.url)
    this.adapter.on('peer-candidate', ({ peerMetadata }) => {
      this.storageId = peerMetadata?.storageId
      this.#waiting.forEach(look => look())
    })
  }

  /** Whether changes are taken here, as far as it is known: a ticket to read says so, and so does the first refusal. */
  get mayWrite () {
    return this.#forGood.size === 0 && ROLES.indexOf(this.ticket.role) >= ROLES.indexOf('edit')
  }

  /** Calls `told` with a sentence for each thing that the node does not take. Returns what ends that. */
  onRefused (told) { return listen(this.#refused, told) }

  /** Calls `told` with `{ code, reason }` when the connection closes: the adapter tries again by itself. */
  onClosed (told) { return listen(this.#closed, told) }

  /** Goes on with another ticket or login to the same space, from the next try to connect on. */
  renew (by) {
    const ticket = typeof by === 'string' ? readTicket(by) : by
    if (ticket.space !== this.ticket.space) throw new Error('failed to renew a ticket: it is for another space')
    this.ticket = ticket
    this.#forGood.clear()
    this.adapter.url = ticket.url
  }

  /** Ends the connection and the login that it came by. */
  async logout () {
    this.adapter.disconnect()
    localStorage.removeItem(KEPT)
    await session(this.ticket.url, 'DELETE')
  }

  /** The handle of a document by its URL, whether it is in the space yet or not: two devices may both begin it. */
  async open (repo, url) {
    try {
      return await repo.find(url)
    } catch (error) {
      if (!/unavailable/.test(error.message)) throw error
      const handle = repo.import(new Uint8Array(), { docId: url.replace(/^automerge:/, '') })
      handle.doneLoading()
      return handle
    }
  }

  /** Resolves once the node has on its disk all that is in the document now; rejects where it does not take changes. */
  durable (handle, { signal } = {}) {
    // The node tells durable heads, and has what came before them. Each later state holds the one of now: any will do.
    const states = [handle.heads()]
    return new Promise((resolve, reject) => {
      const look = () => {
        const kept = new Set(this.storageId && handle.getSyncInfo(this.storageId)?.lastHeads)
        if (states.some(heads => heads.every(head => kept.has(head)))) end(resolve)
      }
      const changed = () => {
        if (states.push(handle.heads()) > STATES_MAX) states.shift()
        look()
      }
      const refused = sentence => sentence?.includes(handle.documentId) && end(reject, new Error(sentence))
      const aborted = () => end(reject, signal.reason)
      const end = (how, value) => {
        handle.off('heads-changed', changed)
        handle.off('remote-heads', look)
        signal?.removeEventListener('abort', aborted)
        leave.forEach(leave => leave())
        how(value)
      }
      handle.on('heads-changed', changed)
      handle.on('remote-heads', look)
      signal?.addEventListener('abort', aborted)
      const leave = [listen(this.#refused, refused), listen(this.#waiting, look)]
      if (signal?.aborted) return aborted()
      look()
      refused(this.#forGood.get(handle.documentId))
    })
  }

  #heard (bytes) {
    let message
    try { message = readCbor(bytes) } catch { return }
    if (message.type !== 'error') return
    const document = /^changes to (\S+) are not taken: your role here is/.exec(message.message)?.[1]
    if (document !== undefined) this.#forGood.set(document, message.message)
    this.#refused.forEach(told => told(message.message))
  }
}

/** As much of CBOR (RFC 8949) as a ticket and a short message have; anything else is an error. */
function readCbor (bytes) {
  let at = 0
  const take = length => {
    if (at + length > bytes.length) throw new Error('cut off')
    return bytes.subarray(at, at += length)
  }
  const value = () => {
    const [kind, size] = [bytes[at] >> 5, take(1)[0] & 31]
    if (size > 27) throw new Error('a value of no length')
    const number = size < 24 ? size : take(1 << (size - 24)).reduce((sum, byte) => sum * 256 + byte, 0)
    if (kind === 0) return number
    if (kind === 2) return take(number)
    if (kind === 3) return new TextDecoder().decode(take(number))
    if (kind === 4) return Array.from({ length: number }, value)
    if (kind === 5) return Object.fromEntries(Array.from({ length: number }, () => [value(), value()]))
    throw new Error(`a value of kind ${kind}`)
  }
  return value()
}
