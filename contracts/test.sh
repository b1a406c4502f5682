#!/bin/sh
# Run the contracts' tests; with --ci, over a hundred thousand calls in the invariants; with --long, over a million and
# wider fuzzing. What each action, each edge between states and each kind of refusal came to is summed over all histories
# and printed. With --only PATTERN, just the tests whose names match it, and what follows goes to forge.
. "$(dirname "$0")/env.sh"
# A failure of an older source would be replayed in place of a fresh history.
rm -rf cache/invariant out/market-calls
case "${1:-}" in
  --ci)
    export FOUNDRY_PROFILE=ci
    each_min=10 refusal_min=1 all_min=100000 lines_min=218
    ;;
  --long)
    export FOUNDRY_PROFILE=long
    each_min=1000 refusal_min=100 all_min=1000000 lines_min=222
    ;;
  --only)
    pattern="${2:?the name of a test, or a part of it}"
    shift 2
    forge test --no-match-contract 'GasTest|Invariants' --match-test "$pattern" "$@"
    exit
    ;;
  "") each_min=1 refusal_min=0 all_min=1000 lines_min=195 ;;
  *)
    echo "usage: test.sh [--ci | --long | --only PATTERN [FLAG...]]" >&2
    exit 2
    ;;
esac
forge test --no-match-contract GasTest
cat out/market-calls/*.txt | awk -F': ' '{ sum[$1] += $2 } END { for (line in sum) print line ": " sum[line] }' |
  sort >out/market-calls.txt
cat out/market-calls.txt
# A line with a comma is a kind of refusal. What never came up at all has no line.
awk -F': ' -v each_min="$each_min" -v refusal_min="$refusal_min" -v all_min="$all_min" -v lines_min="$lines_min" '
  $2 < ($1 == "successful calls" ? all_min : $1 ~ /, / ? refusal_min : each_min) { print "too rare: " $0; rare = 1 }
  END {
    if (NR < lines_min) print NR " lines: at least " lines_min " are wanted"
    exit NR < lines_min || rare
  }' out/market-calls.txt
