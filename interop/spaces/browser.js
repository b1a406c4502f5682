// Two tabs of examples/always-on-peer that are never open together. Arguments: its FOLDER, TICKET, TO_READ, ROOT.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import { basename, join } from 'node:path'
import { chromium } from 'playwright-core'

const [folder, ticket, toRead, root] = process.argv.slice(2)
const server = http.createServer(async (request, response) => {
  const name = basename(request.url) || 'index.html'
  const bytes = await readFile(join(folder, name)).catch(() => undefined)
  const type = name.endsWith('.js') ? 'text/javascript' : 'text/html'
  response.writeHead(bytes === undefined ? 404 : 200, { 'content-type': type }).end(bytes)
})
await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
const at = url => `http://127.0.0.1:${server.address().port}/#${new URLSearchParams({ url, doc: root })}`
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync']
})

/** Opens the page where nobody was before, does something there, and closes it. */
async function tab (url, act) {
  const context = await browser.newContext()
  const tab = await context.newPage()
  const errors = []
  tab.on('pageerror', error => errors.push(error.message))
  await tab.goto(at(url))
  const state = await tab.waitForFunction(() => {
    const state = document.getElementById('state').textContent
    return ['ready', 'to read'].includes(state) && state
  })
  const notes = () => tab.$$eval('#notes li span', items => items.map(item => item.textContent))
  const until = async (what, wanted) => {
    await tab.waitForFunction(([id, wanted]) => document.getElementById(id).textContent.includes(wanted), [what, wanted])
  }
  await act({ tab, notes, until, state: await state.jsonValue() })
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
  await tab(ticket, async one => {
    assert.deepEqual(await one.notes(), [])
    await add(one, 'buy milk')
    await add(one, '<b>call</b> home')
  })
  await tab(ticket, async other => {
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
} finally {
  await browser.close()
  server.close()
}
