// What a browser makes of the public listener: agents by their names, each an origin of its own; content that is never
// rendered; a control API that no page reaches.
// Arguments: the public port, the control API's address, the id of an HTML page in the content store.
import { chromium } from 'playwright-core'

const [port, api, cid] = process.argv.slice(2)
const of = (agent) => `http://${agent}.localhost:${port}`
const [echo, stream] = ['nisse.test.echo', 'nisse.test.stream'].map(of)

function holds (what, found, wanted) {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`)
  }
  console.log(`${what}: ${JSON.stringify(found)}`)
}

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync']
})
try {
  console.log(`Chromium ${browser.version()}`)
  const context = await browser.newContext()
  const page = await context.newPage()

  const answer = await page.goto(`${echo}/hello`)
  holds('an agent answers by its name', [answer.status(), new URL(page.url()).host], [200, `nisse.test.echo.localhost:${port}`])
  holds('its receipt is there', typeof (await answer.allHeaders())['nisse-receipt'], 'string')

  // One agent's page tries to give every agent a cookie.
  await page.evaluate(() => {
    document.cookie = 'own=1'
    document.cookie = 'tossed=1; domain=localhost'
    document.cookie = 'tossed=1; domain=.localhost; path=/'
    localStorage.setItem('own', '1')
  })
  holds('it keeps its own', await page.evaluate(() => [document.cookie.includes('own=1'), localStorage.getItem('own')]), [true, '1'])
  await page.goto(`${stream}/`)
  holds('another agent sees none of it', await page.evaluate(() => [document.cookie, localStorage.getItem('own')]), ['', null])
  holds('nor reads what the first one answers', await page.evaluate(async (url) => {
    try { return (await fetch(url)).status } catch (error) { return error.name }
  }, `${echo}/`), 'TypeError')

  // An answer that comes piece by piece is read piece by piece.
  const events = await page.evaluate(() => new Promise((resolve) => {
    const heard = []
    const source = new EventSource('/events')
    source.onmessage = (event) => {
      heard.push(event.data)
      if (heard.length === 5) { source.close(); resolve(heard) }
    }
    source.onerror = () => { source.close(); resolve(heard) }
  }))
  holds('events arrive', events, ['0', '1', '2', '3', '4'])

  // A page in the content store would run under the node's own name.
  const downloading = page.waitForEvent('download')
  await page.goto(`http://127.0.0.1:${port}/ipfs/${cid}`).catch(() => {})
  const download = await downloading
  holds('a stored page is saved and not shown', [await download.failure(), new URL(page.url()).host], [null, `nisse.test.stream.localhost:${port}`])

  // The control API is one port away.
  for (const [what, options] of [
    ['read the agents', { mode: 'cors' }],
    ['drain the node', { method: 'POST', mode: 'no-cors', body: 'true' }],
    ['drain it as JSON', { method: 'POST', headers: { 'content-type': 'application/json' }, body: 'true' }]
  ]) {
    const path = what.startsWith('drain') ? 'node/drain' : 'agents'
    const outcome = await page.evaluate(async ([url, options]) => {
      try { return (await fetch(url, options)).type } catch (error) { return error.name }
    }, [`http://${api}/api/v1/${path}`, options])
    // An opaque answer tells a page nothing; whether it did something is asked of the node afterwards.
    holds(`a page cannot ${what}`, ['TypeError', 'opaque'].includes(outcome), true)
  }
} finally {
  await browser.close()
}
