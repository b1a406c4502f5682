// Reads a URL per line as WHATWG's URL does and answers with host and port, or `-` where it reads something else than
// both.

import { readFileSync } from "node:fs";

const PORTS = { "http:": "80", "https:": "443" };

const answers = readFileSync(0, "utf8").trimEnd().split("\n").map((line) => {
  if (!URL.canParse(line)) return "-";
  const url = new URL(line);
  if (url.username || url.password || url.hash) return "-";
  return `${url.hostname.replace(/^\[|\]$/g, "")} ${url.port || PORTS[url.protocol]}`;
});
process.stdout.write(answers.join("\n") + "\n");
