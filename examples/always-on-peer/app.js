// Notes in the root document of a space: whoever opens this page with a ticket sees them, whether the others are there or not.
// The link's fragment has the ticket, which leaves the address bar at once and is in a cookie from then on: #space=TICKET
import { Repo } from '@automerge/automerge-repo'
import { WebSocketClientAdapter } from '@automerge/automerge-repo-network-websocket'
import { connect, login } from 'nisse-client'

const element = id => document.getElementById(id)

function say (text) {
  element('state').textContent = text
}

function trouble (text) {
  element('trouble').textContent = text
}

async function begin () {
  const session = await login()
  if (session === undefined) {
    return trouble('Open this page by a link that `nisse space ticket SPACE --app URL` printed.')
  }
  const space = connect(session, WebSocketClientAdapter)
  const repo = new Repo({ network: [space.adapter] })
  space.onRefused(trouble)
  space.onClosed(({ reason }) => say(reason ? `not connected: ${reason}` : 'not connected; trying again'))
  say('connecting')
  const notes = await space.open(repo, session.root)
  const readOnly = !space.mayWrite
  for (const field of element('add').elements) field.disabled = readOnly

  let saving = 0
  async function change (how) {
    notes.change(how)
    const turn = ++saving
    say('saving')
    try {
      await space.durable(notes)
      if (turn === saving) say('saved')
    } catch (error) {
      if (turn === saving) say('not saved')
      trouble(error.message)
    }
  }

  // Each note stands under a key of its own, so that two devices never write in the same place.
  element('add').addEventListener('submit', event => {
    event.preventDefault()
    const text = element('text').value.trim()
    element('add').reset()
    if (text) change(doc => { doc[crypto.randomUUID()] = { text, time: Date.now() } })
  })

  function show () {
    // Others may keep something else in the same document.
    const all = Object.entries(notes.doc()).filter(([, note]) => typeof note?.text === 'string')
    all.sort(([, one], [, other]) => (one.time ?? 0) - (other.time ?? 0))
    element('notes').replaceChildren(...all.map(([key, { text }]) => {
      const [item, words, remove] = ['li', 'span', 'button'].map(name => document.createElement(name))
      words.textContent = text
      remove.textContent = 'Remove'
      remove.disabled = readOnly
      remove.addEventListener('click', () => change(doc => { delete doc[key] }))
      item.append(words, remove)
      return item
    }))
  }
  notes.on('change', show)
  show()
  say(readOnly ? 'to read' : 'ready')
  element('leave').hidden = false
  element('leave').addEventListener('click', () => space.logout().then(() => location.reload(), error => trouble(error.message)))
}

addEventListener('hashchange', () => location.reload())
begin().catch(error => trouble(error.message))
