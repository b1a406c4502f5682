// Turns forge's output into the artifacts that the rest of the project is generated from, or compares
// them. One file per contract: its ABI and bytecode, and what they were made from.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const CONTRACTS = ["TalosToken", "Nodes", "Escrow", "Manager", "OracleFeed", "OracleFeeds", "AddressBook", "Heartbeats", "Reputation"];
const RUNTIME_BYTES_MAX = 24_576; // EIP-170
const CREATION_BYTES_MAX = 49_152; // EIP-3860

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

// The hash covers the path and bytes of each source file, in order of path.
function sourceHash(metadata) {
  const hash = createHash("sha256");
  for (const path of Object.keys(metadata.sources).sort()) {
    const bytes = readFileSync(join(root, path));
    hash.update(`${path}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest("hex");
}

function artifact(name) {
  const built = JSON.parse(readFileSync(join(root, "out", `${name}.sol`, `${name}.json`), "utf8"));
  const { metadata } = built;
  const runtimeBytes = (built.deployedBytecode.object.length - 2) / 2;
  if (runtimeBytes > RUNTIME_BYTES_MAX) {
    throw new Error(`${name} is ${runtimeBytes} bytes, above the limit of ${RUNTIME_BYTES_MAX}`);
  }
  const creationBytes = (built.bytecode.object.length - 2) / 2;
  if (creationBytes > CREATION_BYTES_MAX) {
    throw new Error(`${name} takes ${creationBytes} bytes to create, above the limit of ${CREATION_BYTES_MAX}`);
  }
  if (built.bytecode.object.includes("__$")) throw new Error(`${name} has unlinked libraries`);
  return {
    name,
    solc: metadata.compiler.version,
    evmVersion: metadata.settings.evmVersion,
    sourceHash: sourceHash(metadata),
    runtimeBytes,
    deployedBytecodeHash: sha256(Buffer.from(built.deployedBytecode.object.slice(2), "hex")),
    bytecode: built.bytecode.object,
    abi: built.abi,
  };
}

const check = process.argv.includes("--check");
const folder = join(root, "artifacts");
mkdirSync(folder, { recursive: true });
let differing = 0;
for (const name of CONTRACTS) {
  const text = JSON.stringify(artifact(name), null, 1) + "\n";
  const path = join(folder, `${name}.json`);
  if (!check) {
    writeFileSync(path, text);
  } else if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
    console.error(`artifacts: ${name}.json is not what its sources compile to`);
    differing += 1;
  }
}
const known = new Set(CONTRACTS.map((name) => `${name}.json`));
for (const file of readdirSync(folder)) {
  if (!known.has(file)) {
    console.error(`artifacts: ${file} belongs to no contract`);
    differing += 1;
  }
}
if (differing > 0) {
  console.error("artifacts: run contracts/build.sh and commit what it writes");
  process.exit(1);
}
console.log(`artifacts: ${CONTRACTS.length} contracts ${check ? "agree with their sources" : "written"}`);
