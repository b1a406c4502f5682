// Foundry's anvil and cast, and what the committed ABIs say: every signature and every argument's place is read from
// contracts/artifacts, so that nothing of the contracts is written down here a second time.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

const ARTIFACTS = join(import.meta.dirname, '../../contracts/artifacts')
/** What anvil derives its accounts from; each has money of the chain's own. */
const MNEMONIC = 'test test test test test test test test test test test junk'
const START_MS_MAX = 30_000
const LOOK_MS = 20

/** Name, ABI and bytecode of a committed contract. */
export const artifact = name => JSON.parse(readFileSync(join(ARTIFACTS, `${name}.json`), 'utf8'))

/** An ABI's type as Solidity writes it: `(uint32,uint64,bool)[]` for an array of structs. */
const typeOf = ({ type, components }) => type.replace(/^tuple/, () => `(${components.map(typeOf)})`)
const signatureOf = ({ type, name, inputs, outputs }) =>
  `${type === 'constructor' ? type : name}(${inputs.map(typeOf)})${outputs?.length ? `(${outputs.map(typeOf)})` : ''}`

/** Numbers of any size: what JSON's numbers would round is read as BigInt. */
const parse = text => JSON.parse(text, (_, value, { source } = {}) => typeof value === 'number' ? BigInt(source) : value)

/** What cast decoded, by the ABI's names; every whole number a BigInt. */
function named (values, inputs) {
  const value = ({ type, components }, found) =>
    type === 'tuple' ? named(found, components) : /^u?int\d*$/.test(type) ? BigInt(found) : found
  return Object.fromEntries(inputs.map((input, at) => [input.name || at, value(input, values[at])]))
}

/**
 * Puts arguments, given by name or else by place, into the ABI's order and cast's spelling. A struct's fields may stand
 * beside the rest.
 */
function ordered (inputs, given) {
  const place = ({ name, type, components }, at) => {
    const value = given[name] ?? given[at]
    if (type === 'tuple') return `(${ordered(components, value ?? given)})`
    assert.ok(value != null, `no argument ${name || at}`)
    return Array.isArray(value) ? `[${value}]` : `${value}`
  }
  return inputs.map(place)
}

/** The overload of `name` that these arguments suffice for, and their places. */
function chosen (abi, type, name, given) {
  const overloads = abi.filter(item => item.type === type && (type === 'constructor' || item.name === name))
  const attempts = overloads.map(item => {
    try {
      return { item, args: ordered(item.inputs, given) }
    } catch (error) {
      return { why: error.message }
    }
  })
  const found = attempts.find(attempt => attempt.item)
  assert.ok(found, `${type} ${name}: ${attempts.map(attempt => attempt.why).join('; ') || 'not in the ABI'}`)
  return found
}

/** The folder of an installed program. */
const programs = (packages, name) => join(packages, `@foundry-rs/${name}-linux-amd64/bin`)

/** Where anvil says that it listens. */
async function listening (anvil, log) {
  const begun = performance.now()
  while (anvil.exitCode == null && performance.now() - begun < START_MS_MAX) {
    const found = /Listening on (\S+)\n/.exec(readFileSync(log, 'utf8'))
    if (found) return found[1]
    await setTimeout(LOOK_MS)
  }
  anvil.kill('SIGKILL')
  throw new Error(`anvil does not listen: ${readFileSync(log, 'utf8')}`)
}

/** A chain of its own on a free port, and cast to speak to it. */
export class Foundry {
  /** Starts anvil of `packages` (node_modules); `folder` takes what cast keeps. It ends with `stop`. */
  static async start (packages, folder) {
    mkdirSync(folder, { recursive: true })
    const log = join(folder, 'anvil.log')
    // Into a file: nobody would empty a pipe while cast runs.
    const anvil = spawn(join(programs(packages, 'anvil'), 'anvil'), ['--hardfork', 'prague', '--host', '127.0.0.1', '--port', '0'],
      { cwd: folder, stdio: ['ignore', openSync(log, 'w'), 'inherit'] })
    const failed = new Promise((_, reject) => anvil.once('error', reject))
    const address = await Promise.race([listening(anvil, log), failed])
    return new Foundry(packages, folder, `http://${address}`, anvil)
  }

  /** Speaks to the chain at `url`; `anvil` is its process, where it is one of ours. */
  constructor (packages, folder, url, anvil) {
    this.anvil = anvil
    this.url = url
    this.selectors = new Map()
    // A home of its own: no configuration and no cache of signatures helps.
    this.env = { PATH: `${programs(packages, 'cast')}:${process.env.PATH}`, HOME: folder, ETH_RPC_URL: url, NO_COLOR: '1' }
  }

  async stop () {
    const ended = once(this.anvil, 'exit')
    if (this.anvil.exitCode == null && this.anvil.kill('SIGKILL')) await ended
  }

  /** Runs cast to its end; what it wrote to stderr is in the error where it fails. */
  cast (...args) {
    return execFileSync('cast', args.map(String), { env: this.env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
  }

  /** The n-th of anvil's accounts. */
  account (name, index) {
    const key = this.cast('wallet', 'private-key', MNEMONIC, index)
    return { name, key, address: this.cast('wallet', 'address', key) }
  }

  /** A contract at this address, with its ABI. */
  contract (name, address) {
    return { name, address, abi: artifact(name).abi }
  }

  /** Creates a contract. */
  create (sender, name, args = {}) {
    const { abi, bytecode } = artifact(name)
    const made = abi.some(item => item.type === 'constructor') ? chosen(abi, 'constructor', name, args) : undefined
    const receipt = this.#mined(['send', '--private-key', sender.key, '--json', '--create', bytecode,
      ...made ? [signatureOf(made.item), ...made.args] : []])
    return { ...this.contract(name, receipt.contractAddress), gas: receipt.gas }
  }

  /** Sends a call that must succeed. Gas, the block's unix time and every event of it, decoded. */
  send (sender, contract, name, args = {}) {
    const { item, args: placed } = chosen(contract.abi, 'function', name, args)
    const signature = signatureOf({ ...item, outputs: [] })
    return this.#mined(['send', '--private-key', sender.key, '--json', contract.address, signature, ...placed], contract)
  }

  /** Sends a call that the contract must refuse; the name of the custom error and what it carries. */
  refusal (sender, contract, name, args = {}) {
    let said
    try { this.send(sender, contract, name, args) } catch (error) { said = String(error.stderr ?? error) }
    assert.ok(said, `${name} by ${sender.name} is not refused`)
    const data = /data: "(0x[0-9a-f]+)"/.exec(said)?.[1]
    assert.ok(data, `${name} by ${sender.name} failed otherwise: ${said}`)
    // A call may be refused by a contract behind the one that was asked.
    const errors = [contract, ...contract.behind ?? []].flatMap(({ abi }) => abi.filter(item => item.type === 'error'))
    const error = errors.find(error => this.#selector('sig', error) === data.slice(0, 10))
    assert.ok(error, `no ABI knows the refusal ${data}`)
    const values = parse(this.cast('decode-error', '--json', '--sig', signatureOf(error), data))
    return { error: error.name, ...named(values, error.inputs) }
  }

  /** Asks a view; a single answer by itself, several by name. */
  call (contract, name, args = {}) {
    const { item, args: placed } = chosen(contract.abi, 'function', name, args)
    const values = parse(this.cast('call', '--json', contract.address, signatureOf(item), ...placed))
    const answer = named(values, item.outputs)
    return item.outputs.length === 1 ? Object.values(answer)[0] : answer
  }

  /** The next block's unix time. */
  at (time) { this.cast('rpc', 'evm_setNextBlockTimestamp', time) }

  /** By which four bytes an error is known, or by which topic an event. */
  #selector (command, item) {
    const signature = signatureOf(item)
    if (!this.selectors.has(signature)) this.selectors.set(signature, this.cast(command, signature))
    return this.selectors.get(signature)
  }

  #mined (args, contract) {
    const { status, gasUsed, blockNumber, logs, contractAddress } = JSON.parse(this.cast(...args))
    assert.equal(status, '0x1', `${args} failed when it was mined`)
    const time = BigInt(this.cast('block', blockNumber, '--field', 'timestamp'))
    const own = logs.filter(log => log.address === contract?.address.toLowerCase())
    return { gas: Number(gasUsed), time, contractAddress, events: own.map(log => this.#event(log, contract.abi)) }
  }

  #event ({ topics, data }, abi) {
    const event = abi.find(item => item.type === 'event' && this.#selector('sig-event', item) === topics[0])
    assert.ok(event, `no event of the ABI has the topic ${topics[0]}`)
    const indexed = event.inputs.filter(input => input.indexed)
    const rest = event.inputs.filter(input => !input.indexed)
    const decode = (inputs, data) => inputs.length === 0 ? {}
      : named(parse(this.cast('decode-abi', '--json', `f()(${inputs.map(typeOf)})`, data)), inputs)
    return { event: event.name, ...decode(indexed, `0x${topics.slice(1).map(topic => topic.slice(2)).join('')}`), ...decode(rest, data) }
  }
}
