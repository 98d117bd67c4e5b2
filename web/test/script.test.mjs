// The script that other tests send signed requests with.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Server } from "./support/server.mjs";
import { vectors } from "./support/vectors.mjs";

const run = promisify(execFile);
const script = fileURLToPath(new URL("sign-request.mjs", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "countersign-"));
let server;
before(async () => (server = await new Server().start()));
after(() => (server.stop(), rmSync(folder, { recursive: true })));

const [ed25519, p256] = vectors("keys").keys.map((key) => key.private[0]);
const kinds = {
  "api-key": [vectors("api_key").keys[0].key, "-", /;tag="countersign"$/],
  ed25519: [ed25519, "one", /;keyid="one";tag="countersign"$/],
  p256: [p256, "two", /;keyid="two";tag="countersign"$/],
  hmac: ["a secret of enough bytes for an HMAC", "three", /;keyid="three";tag="countersign"$/],
  erc8128: [vectors("asymmetric").key, "1", /;keyid="eip155:1:0x[\da-f]{40}";tag="erc8128"$/],
  "erc8128-untagged": [vectors("asymmetric").key, "1", /;keyid="erc8128:1:0x[\da-f]{40}"$/],
  asymmetric: [vectors("asymmetric").key, "-", undefined],
};

for (const [kind, [key, id, input]] of Object.entries(kinds)) {
  test(`it signs with ${kind}`, async () => {
    const file = join(folder, kind);
    writeFileSync(file, key);
    server.instead.set("/orders", [{ body: "taken" }]);
    const request = ["POST", `${server.origin}/orders?a=1`, '{"cups": 2}', "application/json"];
    const { stdout } = await run(process.execPath, [script, kind, file, id, ...request]);
    assert.equal(stdout, "200\ntaken\n");
    const { headers, body, url } = server.requests.at(-1);
    assert.deepEqual([body, url, headers["content-type"]], ['{"cups": 2}', "/orders?a=1", "application/json"]);
    if (input) assert.match(headers["signature-input"], input);
    else assert.ok(JSON.parse(headers.asymmetricauthentication).Signature);
  });
}
