#!/bin/sh
# Static analysis by slither, which is installed under target/ at first use: anything of high or medium impact fails.
. "$(dirname "$0")/env.sh"
version=0.11.6
tools=../target/tools/slither
if [ "$("$tools/bin/slither" --version 2>/dev/null)" != "$version" ]; then
  if ! python3 -m venv "$tools"; then
    echo "contracts: python3 with venv is needed to install slither" >&2
    exit 4
  fi
  "$tools/bin/pip" install --quiet "slither-analyzer==$version"
fi
# slither calls forge by its name, and builds everything anew.
export PATH="$PWD/node_modules/@foundry-rs/forge-linux-amd64/bin:$PATH"
"$tools/bin/slither" . --filter-paths node_modules --exclude-low --exclude-informational --exclude-optimization --fail-medium
