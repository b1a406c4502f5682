# Sourced by the scripts beside it: finds the compiler and forge, installing them where they are missing.
set -eu
cd "$(dirname "$0")"
if ! command -v node >/dev/null; then
  echo "contracts: node 20 or newer is needed to compile the contracts" >&2
  exit 4
fi
if [ ! -x node_modules/@foundry-rs/forge-linux-amd64/bin/forge ] || [ ! -d node_modules/solc ]; then
  npm ci --ignore-scripts --no-audit --no-fund >&2
fi
export FOUNDRY_SOLC="$PWD/solcw"
# The program itself, as the package for Linux on x86_64 carries it; elsewhere put another one in its place.
forge() { ./node_modules/@foundry-rs/forge-linux-amd64/bin/forge "$@"; }
