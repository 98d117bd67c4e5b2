// How many instructions a request takes, which is nearly the same at every hour: the gateway under valgrind's callgrind
// is sent 100 requests of each kind, and then a thousand of each are counted. Takes the gateway's program.
//
//   node bench/instructions.mjs target/dist/countersign

import { execFileSync, spawn } from "node:child_process";
import { createHmac, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const program = resolve(process.argv[2] ?? "target/dist/countersign");
const BEFORE = 100;
const COUNTED = 1000;

const upstream = http.createServer((_, response) => response.end("{}"));
await new Promise((ready) => upstream.listen(0, "127.0.0.1", ready));

function configuration(port) {
  const route = (path, accept) =>
    `[[route]]\npath = "${path}/*"\nupstream = "http://127.0.0.1:${upstream.address().port}"\nassertion = false\n${accept}\n`;
  return `[server]
listen = "127.0.0.1:${port}"
public_url = "http://127.0.0.1:${port}"
[store]
url = "memory:"
[audit]
decisions = false
${route("/public", "public = true")}${route("/key", 'accept = ["api-key"]\nanyone = true')}${route("/signed", 'accept = ["signature"]\nanyone = true')}`;
}

/** The fields of a request whose signature over it is made by `make`. */
function signed(port, path, id, make) {
  const created = Math.floor(Date.now() / 1000);
  const covered = ["@method", "@scheme", "@authority", "@path", "@query"];
  const values = ["GET", "http", `127.0.0.1:${port}`, path, "?"];
  const nonce = randomBytes(12).toString("hex");
  const parameters =
    `(${covered.map((name) => `"${name}"`).join(" ")});created=${created};expires=${created + 60}` +
    `;nonce="${nonce}";keyid="${id}";tag="countersign"`;
  const lines = covered.map((name, at) => `"${name}": ${values[at]}`);
  const base = [...lines, `"@signature-params": ${parameters}`].join("\n");
  return { "Signature-Input": `sig1=${parameters}`, Signature: `sig1=:${make(Buffer.from(base)).toString("base64")}:` };
}

if (!existsSync(program)) throw new Error(`${program} is not there; cargo build --profile dist makes it`);
const folder = mkdtempSync(join(tmpdir(), "countersign-instructions-"));
const port = await freePort();
const file = join(folder, "countersign.toml");
const counted = join(folder, "counted");
writeFileSync(file, configuration(port));
const started = ["--tool=callgrind", `--callgrind-out-file=${counted}`, program, "serve", "--config", file];
const gateway = spawn("valgrind", started, { cwd: folder, stdio: "ignore" });
const ended = new Promise((done) => gateway.on("exit", done));
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
try {
  while (!(await answers(port))) await new Promise((wait) => setTimeout(wait, 200));
  const added = (...what) =>
    JSON.parse(execFileSync(program, ["key", ...what, "--label", "one", "--json", "--config", file], { cwd: folder }));
  const secret = randomBytes(32);
  const pair = generateKeyPairSync("ed25519");
  writeFileSync(join(folder, "secret"), secret, { mode: 0o600 });
  writeFileSync(join(folder, "public.pem"), pair.publicKey.export({ type: "spki", format: "pem" }));
  const { key } = added("new");
  const shared = added("add", "--hmac-secret-file", "secret").id;
  const registered = added("add", "--public", "public.pem").id;
  const hmac = (base) => createHmac("sha256", secret).update(base).digest();
  const kinds = {
    "public route": () => ["/public/1", {}],
    "API key": () => ["/key/1", { Authorization: `Bearer ${key}` }],
    "signature, hmac-sha256": () => ["/signed/1", signed(port, "/signed/1", shared, hmac)],
    "signature, ed25519": () => [
      "/signed/1",
      signed(port, "/signed/1", registered, (base) => sign(null, base, pair.privateKey)),
    ],
  };
  const send = async (name, count) => {
    for (let sent = 0; sent < count; sent++) {
      const [path, headers] = kinds[name]();
      const status = await get(port, path, headers, agent);
      if (status !== 200) throw new Error(`${name}: ${status}`);
    }
  };
  const dump = () => execFileSync("callgrind_control", ["--dump", `${gateway.pid}`], { stdio: "ignore" });
  for (const name of Object.keys(kinds)) await send(name, BEFORE);
  dump();
  // Each dump begins to count anew.
  for (const [at, name] of Object.keys(kinds).entries()) {
    await send(name, COUNTED);
    dump();
    const total = /^(?:totals|summary): (\d+)/m.exec(readFileSync(`${counted}.${at + 2}`, "utf8"));
    console.log(`${name}: ${Math.round(Number(total[1]) / COUNTED)} instructions a request`);
  }
} finally {
  agent.destroy();
  gateway.kill("SIGTERM");
  await ended;
  upstream.close();
  rmSync(folder, { recursive: true, force: true });
}

function get(port, path, headers, agent) {
  return new Promise((done, failed) => {
    const request = http.get({ host: "127.0.0.1", port, path, headers, agent }, (response) => {
      response.resume().on("end", () => done(response.statusCode));
    });
    request.on("error", failed);
  });
}

function answers(port) {
  return get(port, "/", {}).then(() => true, () => false);
}

function freePort() {
  return new Promise((done) => {
    const server = http.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}
