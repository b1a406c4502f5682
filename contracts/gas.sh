#!/bin/sh
# Measure each operation as a whole transaction and compare with gas.json: more than 2 % of drift fails, either
# way. With --write, take the measured figures over.
. "$(dirname "$0")/env.sh"
rm -rf out/snapshots
forge test --isolate --match-contract GasTest --quiet
node tools/gas.mjs "$@"
