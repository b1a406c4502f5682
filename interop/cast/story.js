// A whole lease with Foundry's cast, anvil and the committed ABIs, and without nisse: publish, deploy, register, bid,
// assign, ack, settle and stop, who is refused and why, and where every unit of money is at the end.
//
// node story.js NODE_MODULES FOLDER: one line for each step with its gas; the first figure that is off ends it.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Foundry } from './foundry.js'
import { SETTINGS, TALOS, make } from './market.js'

const PACKAGE = join(import.meta.dirname, '../../examples/guests/counter')
const STATES = ['None', 'Unverified', 'Open', 'Assigned', 'Running', 'Stopped', 'Expired']
const AGENT = 'nisse.test.counter@v1.0.0'
const PAYMENT = 100n * TALOS
const BID_WINDOW = 600n
/** Rates that no hour divides without a rest, so that the rounding shows. */
const [HIGH, LOW] = [42n * TALOS + 1n, 40n * TALOS + 7n]
const HOUR = 3600n
/** Of the ways to choose among bids, the one by price alone; where the package can be had. */
const [LOWEST_PRICE, PROVIDER] = [0n, 'https://renter.example']

const say = (what, gas, told = '') =>
  console.log(`${what.padEnd(34)} ${gas == null ? ''.padStart(9) : `${gas}`.padStart(9)}  ${told}`.trimEnd())
const sha256 = bytes => createHash('sha256').update(bytes).digest('hex')
/** The binary CIDv1 of a raw block, and its text. */
const rawCid = hash => `0x01551220${hash}`
function textCid (cid) {
  const bits = [...Buffer.from(cid.slice(2), 'hex')].map(byte => byte.toString(2).padStart(8, '0')).join('')
  const letters = bits.match(/.{1,5}/g).map(five => 'abcdefghijklmnopqrstuvwxyz234567'[parseInt(five.padEnd(5, '0'), 2)])
  return `b${letters.join('')}`
}

function story (foundry) {
  const [market, renter, dear, cheap, stranger] =
    ['market', 'renter', 'dear', 'cheap', 'stranger'].map((name, index) => foundry.account(name, index))
  const { token, nodes, manager, escrow } = make(foundry, market, say)

  /** One step: it succeeds, says its gas, and told the event that it must. */
  const step = (sender, contract, name, args, told) => {
    const mined = foundry.send(sender, contract, name, args)
    const found = mined.events.find(({ event }) => event === told?.event)
    if (told != null) holds(`${told.event} of ${name}`, found ?? mined.events, told)
    say(`${sender.name}: ${name}`, mined.gas, told == null ? '' : `-> ${told.event}`)
    return { ...mined, told: found }
  }
  const refused = (sender, name, args, error) => {
    holds(`the refusal of ${name}`, foundry.refusal(sender, manager, name, args), error)
    const { error: by, ...carries } = error
    say(`${sender.name}: ${name}`, undefined, `refused: ${by}(${Object.values(carries)})`)
  }
  const lease = (id, expected) => {
    const found = foundry.call(manager, 'deployment', { 0: id })
    holds(`deployment ${id}`, { ...found, state: STATES[found.state] }, expected)
  }
  const balance = ({ address }) => foundry.call(token, 'balanceOf', { account: address })
  /** Where all money is: nobody else has any. */
  const ledger = expected => {
    const holders = { renter, dear, cheap, nodes, escrow }
    holds('the ledger', Object.fromEntries(Object.entries(holders).map(([name, holder]) => [name, balance(holder)])), expected)
    const sum = Object.values(expected).reduce((total, amount) => total + amount)
    assert.equal(sum, foundry.call(token, 'totalSupply'), 'the ledger is not all the money there is')
  }

  // Money, and the nodes' stake.
  const stake = SETTINGS.minStake
  for (const [who, amount] of [[renter, 2n * PAYMENT], [dear, stake], [cheap, stake]]) {
    step(who, token, 'faucet', { amount }, { event: 'Transfer', to: who.address, value: amount })
  }
  const resources = { cpuMillis: 1000n, memoryBytes: 1n << 30n, gpu: false }
  for (const node of [dear, cheap]) {
    const endpoint = `https://${node.name}.example`
    step(node, token, 'approve', { spender: nodes.address, value: stake })
    step(node, nodes, 'register', { endpoint, capacity: resources, stake }, { event: 'NodeRegistered', node: node.address, endpoint, stake })
    holds('the node', foundry.call(nodes, 'node', { operator: node.address }), { status: 1n, stake, locked: 0n, endpoint })
  }
  ledger({ renter: 2n * PAYMENT, dear: 0n, cheap: 0n, nodes: 2n * stake, escrow: 0n })

  // The package, as its bytes name it.
  const [manifest, artifact] = ['agent.yaml', 'counter.wasm'].map(file => sha256(readFileSync(join(PACKAGE, file))))
  const published = {
    agentId: AGENT, manifestCid: rawCid(manifest), manifestHash: `0x${manifest}`, artifactCid: rawCid(artifact),
    artifactHash: `0x${artifact}`, configHash: `0x${'0'.repeat(64)}`, resources: { cpuMillis: 250n, memoryBytes: 32n << 20n, gpu: false }
  }
  const terms = { maxRate: 45n * TALOS, bidWindow: BID_WINDOW, gasBudget: 0n, selection: LOWEST_PRICE }
  // The ABI may name none of these, so they go by their places.
  const publishing = (package_, terms) => ({ ...Object.values(package_), ...terms })
  refused(renter, 'publish', publishing({ ...published, manifestHash: published.artifactHash }, terms),
    { error: 'ManifestCidMismatch', digest: published.manifestHash, manifestHash: published.artifactHash })
  const { told: { publication } } = step(renter, manager, 'publish', publishing(published, terms), { event: 'Published', id: 1n, publisher: renter.address })
  holds('the publication', publication, published)

  // The order.
  step(renter, token, 'approve', { spender: escrow.address, value: 2n * PAYMENT })
  const order = {
    publication: 1n, payment: PAYMENT, maxRate: 0n, configHash: published.configHash, artifactCid: '0x',
    onlyNode: `0x${'0'.repeat(40)}`, supersedesMarket: `0x${'0'.repeat(40)}`, supersedesId: 0n, provider: PROVIDER
  }
  const ordered = step(renter, manager, 'deploy', order, { event: 'Deployed', id: 1n, owner: renter.address })
  const biddingEnds = ordered.time + BID_WINDOW
  holds('the order', ordered.told.order, { agentId: AGENT, payment: PAYMENT, maxRate: terms.maxRate, biddingEnds, home: false, verified: true })
  lease(1n, { owner: renter.address, state: 'Open', deposited: PAYMENT, paid: 0n, deadline: biddingEnds })
  ledger({ renter: PAYMENT, dear: 0n, cheap: 0n, nodes: 2n * stake, escrow: PAYMENT })

  // Bids: only of nodes, each below the last, and each locks a day of its rate.
  refused(stranger, 'bid', { id: 1n, rate: LOW }, { error: 'NotRegistered', node: stranger.address })
  refused(dear, 'bid', { id: 1n, rate: 45n * TALOS + 1n }, { error: 'NotBetter', id: 1n, rate: 45n * TALOS + 1n, standing: 45n * TALOS })
  step(dear, manager, 'bid', { id: 1n, rate: HIGH }, { event: 'BidPlaced', node: dear.address, rate: HIGH })
  step(cheap, manager, 'bid', { id: 1n, rate: LOW }, { event: 'BidPlaced', node: cheap.address, rate: LOW })
  refused(dear, 'bid', { id: 1n, rate: LOW }, { error: 'NotBetter', id: 1n, rate: LOW, standing: LOW })
  for (const [node, locked] of [[dear, 0n], [cheap, LOW * SETTINGS.lockHours]]) {
    holds('what is locked', foundry.call(nodes, 'node', { operator: node.address }), { stake, locked })
  }
  refused(stranger, 'assign', { id: 1n }, { error: 'BiddingOpen', id: 1n, until: biddingEnds })
  foundry.at(biddingEnds)
  const assigned = step(stranger, manager, 'assign', { id: 1n }, { event: 'Assigned', node: cheap.address, rate: LOW })
  lease(1n, { state: 'Assigned', node: cheap.address, deadline: assigned.time + SETTINGS.ackTimeout })

  // Money runs from the ack by the second.
  refused(dear, 'ackStart', { id: 1n, incarnation: 1n }, { error: 'NotNode', id: 1n, caller: dear.address })
  const started = step(cheap, manager, 'ackStart', { id: 1n, incarnation: 1n }, { event: 'Started', node: cheap.address, incarnation: 1n, rate: LOW })
  refused(cheap, 'ackStart', { id: 1n, incarnation: 2n }, { error: 'WrongState', id: 1n, state: BigInt(STATES.indexOf('Running')) })
  lease(1n, { state: 'Running', rate: LOW, startedAt: started.time, incarnation: 1n })
  foundry.at(started.time + 1001n)
  const first = LOW * 1001n / HOUR
  step(stranger, manager, 'settle', { id: 1n }, { event: 'Settled', node: cheap.address, amount: first })
  holds('the account', { claimable: foundry.call(escrow, 'claimable', { payee: cheap.address }) }, { claimable: first })
  lease(1n, { state: 'Running', paid: first, deposited: PAYMENT })

  // The end: only its owner's, the rest comes back at once, and the node draws what is its own.
  refused(stranger, 'stop', { id: 1n }, { error: 'NotOwner', id: 1n, caller: stranger.address })
  foundry.at(started.time + 1778n)
  const earned = LOW * 1778n / HOUR
  const refund = PAYMENT - earned
  const stopped = step(renter, manager, 'stop', { id: 1n }, { event: 'Stopped', node: cheap.address, reason: 0n, refund })
  holds('the last settlement', stopped.events[0], { event: 'Settled', amount: earned - first })
  lease(1n, { state: 'Stopped', paid: earned, deposited: earned })
  ledger({ renter: PAYMENT + refund, dear: 0n, cheap: 0n, nodes: 2n * stake, escrow: earned })
  step(cheap, escrow, 'withdraw', { to: cheap.address }, { event: 'Withdrawn', payee: cheap.address, amount: earned })
  holds('what is locked', foundry.call(nodes, 'node', { operator: cheap.address }), { stake, locked: 0n })
  ledger({ renter: PAYMENT + refund, dear: 0n, cheap: earned, nodes: 2n * stake, escrow: 0n })

  // The call of the protocol's own words: by name and CID, and the one open order of that name is bid on by its name.
  step(renter, manager, 'publish', publishing(published, { ...terms, bidWindow: 0n }), { event: 'Published', id: 2n })
  const named = { agentId: AGENT, ipfsCid: textCid(published.artifactCid), payment: PAYMENT }
  step(renter, manager, 'deploy', named, { event: 'Deployed', id: 2n })
  const both = step(dear, manager, 'bid', { agentId: AGENT, price: HIGH }, { event: 'Assigned', id: 2n, node: dear.address, rate: HIGH })
  lease(2n, { state: 'Assigned', node: dear.address, deadline: both.time + SETTINGS.ackTimeout })
  step(renter, manager, 'stop', { id: 2n }, { event: 'Stopped', refund: PAYMENT })
  lease(2n, { state: 'Stopped', paid: 0n, deposited: 0n })
  ledger({ renter: PAYMENT + refund, dear: 0n, cheap: earned, nodes: 2n * stake, escrow: 0n })
  say('every unit is accounted for', undefined, `${earned} of ${PAYMENT} to the node, ${refund} back`)
}

/** Every field of `expected` is found just so. */
function holds (what, found, expected) {
  for (const [key, value] of Object.entries(expected)) {
    assert.deepEqual(found[key], value, `${what}: ${key} is ${found[key]} instead of ${value}`)
  }
}

const [packages, folder] = process.argv.slice(2)
const foundry = await Foundry.start(packages, folder)
try {
  story(foundry)
} finally {
  await foundry.stop()
}
