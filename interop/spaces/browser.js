// Tabs of examples/always-on-peer that are never open together. Arguments: its FOLDER, the PORT of its page, and links
// TO_EDIT and TO_READ.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import { basename, join } from 'node:path'
import { chromium } from 'playwright-core'

const [folder, port, toEdit, toRead] = process.argv.slice(2)
const asked = []
const server = http.createServer(async (request, response) => {
  asked.push(JSON.stringify([request.url, request.headers]))
  const name = basename(request.url) || 'index.html'
  const bytes = await readFile(join(folder, name)).catch(() => undefined)
  const type = name.endsWith('.js') ? 'text/javascript' : 'text/html'
  response.writeHead(bytes === undefined ? 404 : 200, { 'content-type': type }).end(bytes)
})
await new Promise(resolve => server.listen(Number(port), '127.0.0.1', resolve))
const node = new URL(new URLSearchParams(new URL(toEdit).hash.slice(1)).get('space'))
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync']
})

/** Opens the page where nobody was before, does something there, and closes it. */
async function tab (link, act) {
  const context = await browser.newContext()
  const tab = await context.newPage()
  const errors = []
  tab.on('pageerror', error => errors.push(error.message))
  await tab.goto(link)
  const ready = () => tab.waitForFunction(() => {
    const state = document.getElementById('state').textContent
    return ['ready', 'to read'].includes(state) && state
  })
  const state = await ready()
  const notes = () => tab.$$eval('#notes li span', items => items.map(item => item.textContent))
  const until = async (what, wanted) => {
    await tab.waitForFunction(([id, wanted]) => document.getElementById(id).textContent.includes(wanted), [what, wanted])
  }
  await act({ context, tab, notes, ready, until, state: await state.jsonValue() })
  assert.deepEqual(errors, [])
  await context.close()
}

async function add ({ tab, until }, text) {
  await tab.fill('#text', text)
  await tab.click('#add button')
  await until('notes', text)
  await until('state', 'saved')
}

try {
  console.log(`Chromium ${browser.version()}`)
  await tab(toEdit, async one => {
    assert.deepEqual(await one.notes(), [])
    await add(one, 'buy milk')
    await add(one, '<b>call</b> home')
  })
  await tab(toEdit, async other => {
    await other.until('notes', 'call')
    assert.deepEqual(await other.notes(), ['buy milk', '<b>call</b> home'])
    await add(other, 'water the plants')
    await other.tab.click('#notes li:first-child button')
    await other.until('state', 'saved')
  })
  await tab(toRead, async reader => {
    await reader.until('notes', 'water')
    assert.deepEqual(await reader.notes(), ['<b>call</b> home', 'water the plants'])
    assert.equal(reader.state, 'to read')
    assert.equal(await reader.tab.isDisabled('#text'), true)
  })
  console.log('ok: tabs that are never open together see each other\'s notes, and a reader writes none')

  await tab(toEdit, async one => {
    // Nothing of the ticket is left where a script or a server reads it; the login outlasts the link.
    assert.equal(one.tab.url(), `http://localhost:${port}/`)
    const seen = await one.tab.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, history.length, location.href]))
    assert.ok(!seen.includes('nst1_'), seen)
    const [cookie] = await one.context.cookies(`${node.href.replace('ws', 'http')}`)
    assert.deepEqual([cookie.name, cookie.path, cookie.httpOnly, cookie.sameSite], ['nisse-space', node.pathname, true, 'Strict'])
    assert.ok(cookie.expires * 1000 < Date.now() + 3_600_000, 'no longer than its ticket')
    const sockets = []
    one.tab.on('websocket', socket => sockets.push(socket.url()))
    await one.tab.reload()
    await one.ready()
    await one.until('notes', 'water')
    assert.deepEqual(sockets, [`ws://${node.host}${node.pathname}`])

    // A page of the same site and another origin has the cookie sent along, and is let in nowhere.
    const other = http.createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'))
    await new Promise(resolve => other.listen(0, '127.0.0.1', resolve))
    const evil = await one.context.newPage()
    await evil.goto(`http://localhost:${other.address().port}/`)
    const outcome = await evil.evaluate(async ([socket, session]) => [
      await new Promise(resolve => {
        const opened = new WebSocket(socket)
        opened.onopen = () => resolve('open')
        opened.onclose = () => resolve('closed')
      }),
      await fetch(session, { credentials: 'include' }).then(answer => answer.text(), error => error.name),
      await fetch(session, { method: 'DELETE', credentials: 'include' }).then(() => 'answered', error => error.name)
    ], [sockets[0], `${sockets[0].replace('ws', 'http')}/session`])
    assert.deepEqual(outcome, ['closed', 'TypeError', 'TypeError'])
    await evil.close()
    other.close()

    await one.tab.click('#leave')
    await one.until('trouble', 'Open this page by a link')
    assert.deepEqual(await one.context.cookies(`${node.href.replace('ws', 'http')}`), [])
    assert.equal(await one.tab.evaluate(() => localStorage.length), 0)
  })
  assert.ok(!asked.some(one => one.includes('nst1_')), 'the page\'s server never hears of a ticket')
  console.log('ok: a ticket leaves the address bar for a cookie that no script reads and no other page uses; a page logs out')
} finally {
  await browser.close()
  server.close()
}
