// Compares the measured gas with the committed figures and prints both beside what was aimed at.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const DRIFT_PERCENT_MAX = 2;
// The design's aims, in gas of a whole transaction.
const AIMS = {
  deploy: 160_000,
  "bid first": 55_000,
  "bid better": 55_000,
  assign: 60_000,
  settle: 50_000,
  heartbeat: 33_000,
  "whole life, bid assigned at once": 380_000,
  "whole life, with a bid window": 380_000,
};

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const path = join(root, "gas.json");
const measured = JSON.parse(readFileSync(join(root, "out", "snapshots", "market.json"), "utf8"));
const gas = Object.fromEntries(Object.entries(measured).map(([name, used]) => [name, Number(used)]));
const sum = (...names) => names.reduce((total, name) => total + gas[name], 0);
gas["whole life, bid assigned at once"] = sum("deploy", "bid assigned at once", "ackStart", "settle", "stop");
gas["whole life, with a bid window"] = sum("deploy", "bid first", "assign", "ackStart", "settle", "stop");

const write = process.argv.includes("--write");
const committed = write ? gas : JSON.parse(readFileSync(path, "utf8"));
let failed = 0;
for (const name of new Set([...Object.keys(gas), ...Object.keys(committed)])) {
  const [now, then, aim] = [gas[name], committed[name], AIMS[name]];
  const drift = now === undefined || then === undefined ? Infinity : (100 * (now - then)) / then;
  const over = Math.abs(drift) > DRIFT_PERCENT_MAX;
  if (over) failed += 1;
  const columns = [
    name.padEnd(34),
    String(now ?? "gone").padStart(8),
    `${drift >= 0 ? "+" : ""}${drift.toFixed(2)} %`.padStart(10),
    aim === undefined ? "" : `aim ${aim}${now > aim ? ", missed" : ""}`,
    over ? "DRIFTED" : "",
  ];
  console.log(columns.join("  ").trimEnd());
}
if (write) writeFileSync(path, JSON.stringify(gas, null, 1) + "\n");
if (failed > 0) {
  console.error(`gas: ${failed} figures drifted by more than ${DRIFT_PERCENT_MAX} %; if meant, run gas.sh --write`);
  process.exit(1);
}
