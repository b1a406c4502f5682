// A market of its own on an empty chain: the set of contracts, made in the order of contracts/README.md.

/** Token units of one TALOS. */
export const TALOS = 10n ** 18n
/** What the market is made with; seconds, hours and nodes are the usual ones. */
export const SETTINGS = { minStake: 10_000n * TALOS, lockHours: 24n, ackTimeout: 60n, heartbeatPeriod: 600n }

/** Makes the set and says the gas of each part. */
export function make (foundry, owner, say, heartbeatPeriod = SETTINGS.heartbeatPeriod) {
  const made = (name, args) => {
    const contract = foundry.create(owner, name, args)
    say(`create ${name}`, contract.gas, contract.address)
    return contract
  }
  const token = made('TalosToken')
  const nodes = made('Nodes', {
    token_: token.address, minStake_: SETTINGS.minStake, unbondingTime_: 86_400, treasury_: owner.address, owner_: owner.address
  })
  const manager = made('Manager', {
    nodes_: nodes.address, ackTimeout_: SETTINGS.ackTimeout, withdrawNotice_: 3600, lockHours_: SETTINGS.lockHours, quorum_: 2
  })
  const escrow = foundry.contract('Escrow', foundry.call(manager, 'escrow'))
  const feeds = made('OracleFeeds', { manager_: manager.address })
  const heartbeats = made('Heartbeats', { nodes_: nodes.address, period_: heartbeatPeriod })
  const reputation = made('Reputation', { nodes_: nodes.address })
  const told = (name, args) => say(`nodes.${name}`, foundry.send(owner, nodes, name, args).gas)
  told('addManager', { manager: manager.address })
  told('setSlasher', { slasher_: heartbeats.address })
  told('setReputation', { reputation_: reputation.address })
  const book = made('AddressBook', { owner_: owner.address })
  const set = { TalosToken: token, Nodes: nodes, Manager: manager, Escrow: escrow, OracleFeeds: feeds, Heartbeats: heartbeats, Reputation: reputation }
  const names = Object.keys(set).map(name => foundry.cast('format-bytes32-string', name))
  const addresses = Object.values(set).map(({ address }) => address)
  say('book.upgrade', foundry.send(owner, book, 'upgrade', { names, addresses }).gas)
  // A bid is refused by Nodes, a deposit by Escrow or the token.
  manager.behind = [nodes, escrow, token]
  return { token, nodes, manager, escrow, heartbeats, book }
}
