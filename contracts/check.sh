#!/bin/sh
# All that CI wants of the contracts: the committed artifacts are what the sources give, the tests pass, gas holds.
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
"$here/build.sh" --check
"$here/test.sh" "$@"
"$here/gas.sh"
