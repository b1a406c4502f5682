// A market on a chain that runs already, with a heartbeat period of the story's choice.
//
// node market.js NODE_MODULES FOLDER URL PERIOD_SECONDS: prints one JSON of the addresses.

import { Foundry } from '../cast/foundry.js'
import { make } from '../cast/market.js'

const [packages, folder, url, period] = process.argv.slice(2)
const foundry = new Foundry(packages, folder, url)
const made = make(foundry, foundry.account('market', 0), () => {}, period)
console.log(JSON.stringify(Object.fromEntries(Object.entries(made).map(([name, { address }]) => [name, address]))))
