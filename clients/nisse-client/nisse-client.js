// For apps on stock automerge-repo whose space is kept by nisse: what a ticket says, what is durable, what is refused.
//
// It brings no dependency: the app gives its own WebSocketClientAdapter. Everything here works without it, too; what is
// told here is what the stock adapter hears and tells nobody.

const ROLES = ['relay', 'read', 'edit', 'admin']
const TICKET_PREFIX = 'nst1_'
const SIGNATURE_BYTES = 64
/** States of a document that are remembered while it waits to be durable. */
const STATES_MAX = 1000

/**
 * What a ticket's URL says: `{ url, space, role, expires }`, the time in milliseconds since 1970.
 * It is read, not checked: that is the node's to do.
 */
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

/** A connection to a space: give `adapter` to a Repo. `WebSocketClientAdapter` is that of automerge-repo-network-websocket. */
export function connect (url, WebSocketClientAdapter) {
  return new Space(url, WebSocketClientAdapter)
}

class Space {
  /** What its ticket says. */
  ticket
  /** What a Repo takes among its `network`. */
  adapter
  /** What the node calls its store, once it was heard of. */
  storageId
  #refused = new Set()
  #closed = new Set()
  #waiting = new Set()
  /** By document: said once for each, and true until there is another ticket. */
  #forGood = new Map()

  constructor (url, WebSocketClientAdapter) {
    this.ticket = readTicket(url)
    const space = this
    class Adapter extends WebSocketClientAdapter {
      connect (...whom) {
        super.connect(...whom)
        this.socket.addEventListener('close', event => space.#close(event))
      }

      // The stock adapter throws here in Node.js, where nobody can catch it. A connection that fails also closes.
      onError = () => {}

      receiveMessage (bytes) {
        super.receiveMessage(bytes)
        space.#heard(new Uint8Array(bytes))
      }
    }
    this.adapter = new Adapter(url)
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
  onRefused (told) {
    this.#refused.add(told)
    return () => this.#refused.delete(told)
  }

  /** Calls `told` with `{ code, reason }` when the connection closes: the adapter tries again by itself. */
  onClosed (told) {
    this.#closed.add(told)
    return () => this.#closed.delete(told)
  }

  /** Goes on with another ticket to the same space, from the next try to connect on. */
  renew (url) {
    const ticket = readTicket(url)
    if (ticket.space !== this.ticket.space) throw new Error('failed to renew a ticket: it is for another space')
    this.ticket = ticket
    this.#forGood.clear()
    this.adapter.url = url
  }

  /**
   * The handle of a document by its URL, whether it is in the space yet or not. Two devices may both begin it: so what is
   * in it should stand under keys of its own, such as random ones, and not in one list that each of them makes.
   */
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

  /**
   * Resolves once the node has on its disk all that is in the document now; rejects where it does not take changes.
   * The node tells its heads only after they are durable, and has whatever came before them.
   */
  durable (handle, { signal } = {}) {
    // Each later state holds the one of now: any of them will do.
    const states = [handle.heads()]
    return new Promise((resolve, reject) => {
      const look = () => {
        const kept = new Set(this.storageId && handle.getSyncInfo(this.storageId)?.lastHeads)
        if (states.some(heads => heads.every(head => kept.has(head)))) end(resolve)
      }
      const changed = () => {
        states.push(handle.heads())
        if (states.length > STATES_MAX) states.shift()
        look()
      }
      const refused = sentence => {
        if (sentence?.includes(handle.documentId)) end(reject, new Error(sentence))
      }
      const aborted = () => end(reject, signal.reason)
      const end = (how, value) => {
        handle.off('heads-changed', changed)
        handle.off('remote-heads', look)
        signal?.removeEventListener('abort', aborted)
        this.#refused.delete(refused)
        this.#waiting.delete(look)
        how(value)
      }
      handle.on('heads-changed', changed)
      handle.on('remote-heads', look)
      signal?.addEventListener('abort', aborted)
      this.#refused.add(refused)
      this.#waiting.add(look)
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

  #close ({ code, reason }) {
    this.#closed.forEach(told => told({ code, reason: String(reason ?? '') }))
  }
}

/** As much of CBOR (RFC 8949) as a ticket and a short message have; anything else is an error. */
function readCbor (bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const argument = size => {
    at += 1
    if (size < 24) return size
    const width = [1, 2, 4, 8][size - 24]
    at += width
    if (width === 8) return Number(view.getBigUint64(at - 8))
    return width === 1 ? view.getUint8(at - 1) : width === 2 ? view.getUint16(at - 2) : view.getUint32(at - 4)
  }
  const take = length => {
    if (at + length > bytes.length) throw new Error('cut off')
    return bytes.subarray(at, at += length)
  }
  const value = () => {
    const [kind, number] = [view.getUint8(at) >> 5, argument(view.getUint8(at) & 31)]
    if (kind === 0) return number
    if (kind === 2) return take(number)
    if (kind === 3) return new TextDecoder().decode(take(number))
    if (kind === 4) return Array.from({ length: number }, value)
    if (kind === 5) return Object.fromEntries(Array.from({ length: number }, () => [value(), value()]))
    throw new Error(`a value of kind ${kind}`)
  }
  return value()
}
