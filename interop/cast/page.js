// The commands of docs/guide/cast.md, line by line as they stand there, in one bash; then where the money is.
//
// node page.js NODE_MODULES FOLDER

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Foundry } from './foundry.js'
import { SETTINGS, TALOS } from './market.js'

const REPOSITORY = join(import.meta.dirname, '../..')
const PAGE_MS_MAX = 60_000
/** What the page pays in. */
const PAYMENT = 100n * TALOS

const page = readFileSync(join(REPOSITORY, 'docs/guide/cast.md'), 'utf8')
const commands = page.split('```').filter((_, at) => at % 2 === 1).map(block => block.replace(/^sh\n/, '')).join('')

const [packages, folder] = process.argv.slice(2)
const foundry = await Foundry.start(packages, folder)
try {
  assert.ok(commands.includes('http://127.0.0.1:8545'), 'the page names the chain')
  const told = 'printf "\\n%s" "$token" "$nodes" "$manager" "$escrow" "$deployment"'
  const script = `${commands.replace('http://127.0.0.1:8545', foundry.url)}\n${told}`
  const said = execFileSync('bash', ['-euo', 'pipefail', '-c', script],
    { cwd: REPOSITORY, env: foundry.env, encoding: 'utf8', timeout: PAGE_MS_MAX, stdio: ['ignore', 'pipe', 'inherit'] })
  const addresses = said.split('\n').slice(-5)
  const deployment = addresses.pop()
  const [token, nodes, manager, escrow] =
    ['TalosToken', 'Nodes', 'Manager', 'Escrow'].map((name, at) => foundry.contract(name, addresses[at]))
  const lease = foundry.call(manager, 'deployment', { 0: deployment })
  assert.equal(lease.state, 5n, 'the lease has ended')
  const [node, renter] = [lease.node, lease.owner].map(account => foundry.call(token, 'balanceOf', { account }))
  assert.ok(node >= 40n * TALOS && node < 41n * TALOS, `an hour at 40 and the seconds of this machine: ${node}`)
  assert.equal(node + renter, PAYMENT, 'what was paid is with the two')
  const held = [escrow, nodes].map(({ address }) => foundry.call(token, 'balanceOf', { account: address }))
  assert.deepEqual(held, [0n, SETTINGS.minStake], 'what the contracts hold')
  console.log(`docs/guide/cast.md: ${commands.trim().split('\n').length} lines; ${node} to the node, ${renter} back`)
} finally {
  await foundry.stop()
}
