#!/bin/sh
# Run the contracts' tests; with --long, over a million calls in the invariants and wider fuzzing. What each
# action and each edge between states was called is in out/market-calls.txt, printed at the end.
. "$(dirname "$0")/env.sh"
# A failure of an older source would be replayed in place of a fresh history.
rm -rf cache/invariant
mkdir -p out
case "${1:-}" in
  --long)
    export FOUNDRY_PROFILE=ci
    each_min=1000 all_min=1000000
    ;;
  "") each_min=1 all_min=1000 ;;
  *)
    echo "usage: test.sh [--long]" >&2
    exit 2
    ;;
esac
forge test --no-match-contract GasTest
cat out/market-calls.txt
awk -F': ' -v each_min="$each_min" -v all_min="$all_min" '
  $2 < ($1 == "successful calls" ? all_min : each_min) { print "too rare: " $0; rare = 1 }
  END { exit NR < 40 || rare }' out/market-calls.txt
