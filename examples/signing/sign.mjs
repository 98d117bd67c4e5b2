// Signs a request with an Ed25519 key and sends it. Node 20 or later, and nothing else.
//
//     node sign.mjs KEY.pem KEY_ID METHOD URL [JSON]

import { createHash, createPrivateKey, randomBytes, sign } from "node:crypto";
import { readFileSync } from "node:fs";

/** The headers that a request needs besides its own. */
export function signed(key, keyId, method, url, body = "") {
  const { protocol, host, pathname, search } = new URL(url);
  const covered = {
    "@method": method,
    "@scheme": protocol.slice(0, -1),
    "@authority": host,
    "@path": pathname,
    "@query": search || "?",
  };
  const headers = {};
  if (body) {
    headers["content-type"] = "application/json";
    headers["content-digest"] = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
    Object.assign(covered, headers);
  }
  const names = Object.keys(covered).map((name) => `"${name}"`).join(" ");
  const now = Math.floor(Date.now() / 1000);
  const parameters =
    `(${names});created=${now};expires=${now + 60}` +
    `;nonce="${randomBytes(16).toString("base64url")}";keyid="${keyId}";tag="countersign"`;
  const lines = Object.entries(covered).map(([name, value]) => `"${name}": ${value}`);
  const base = [...lines, `"@signature-params": ${parameters}`].join("\n");
  const signature = sign(null, Buffer.from(base), key).toString("base64");
  return { ...headers, "signature-input": `sig1=${parameters}`, signature: `sig1=:${signature}:` };
}

const [keyFile, keyId, method, url, body] = process.argv.slice(2);
const key = createPrivateKey(readFileSync(keyFile));
const answer = await fetch(url, { method, body, headers: signed(key, keyId, method, url, body) });
console.log(await answer.text());
process.exitCode = answer.ok ? 0 : 1;
