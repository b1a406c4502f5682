#!/bin/sh
# Compile the contracts and write artifacts/*.json; with --check, compare instead of writing.
. "$(dirname "$0")/env.sh"
forge build --skip test --quiet
node tools/artifacts.mjs "$@"
