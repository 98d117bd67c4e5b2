// A Chromium of the test's own, and what a script plays around it: an upstream, pages of other origins.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { join } from "node:path";

// From NODE_PATH, which modules do not read.
export const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const { chromium } = require("playwright-core");

/** What the test knows. */
export const world = JSON.parse(process.argv[2]);

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Our names are this machine, and no other name is anywhere.
  "--host-resolver-rules=MAP *.bank.test 127.0.0.1, MAP bank.test 127.0.0.1, MAP eve.test 127.0.0.1, MAP * ~NOTFOUND",
];

/** A browser as somebody has it: nothing is known to it but our authority. */
export async function browser(options = {}) {
  return chromium.launchPersistentContext(mkdtempSync(join(world.home, "profile-")), {
    executablePath: `/usr/bin/${world.program}`,
    headless: true,
    args: FLAGS,
    env: { ...process.env, HOME: world.home },
    viewport: { width: 1180, height: 900 },
    ...options,
  });
}

/** Runs a test, and ends everything that it began. */
export async function run(test) {
  const open = [];
  try {
    await test((one) => (open.push(one), one));
    console.log("all is well");
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
  for (const one of open) {
    one.closeAllConnections?.();
    await one.close();
  }
}

const listening = (server, port) =>
  new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", () => resolve(server)));

const PAGE = `<!doctype html><title>A page</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>`;

/** Answers as a page with the client does, whose script is `script`; `false`: it was asked for something else. */
export function servePage(request, response, script) {
  const { pathname } = new URL(request.url, "http://x");
  const client = "/countersign.min.js";
  const texts = { "/": PAGE, "/page.js": script, [client]: pathname === client && readFileSync(world.client) };
  if (!(pathname in texts)) return false;
  const type = pathname === "/" ? "text/html" : "text/javascript";
  response.setHeader("Content-Type", `${type}; charset=utf-8`);
  response.end(texts[pathname]);
  return true;
}

/** The upstream behind the gateway: pages, and an API that notes what reaches it. */
export async function upstream(script) {
  const seen = [];
  const server = http.createServer((request, response) => {
    if (servePage(request, response, script)) return;
    seen.push({ line: `${request.method} ${request.url}`, headers: request.headers });
    response.end("done");
  });
  await listening(server, world.upstream);
  return Object.assign(server, { seen });
}

/** Pages of other origins, by any of their names. */
export async function pages(script) {
  const file = (name) => readFileSync(join(world.folder, name));
  const server = https.createServer({ cert: file("tls.pem"), key: file("tls.key") }, (request, response) => {
    if (!servePage(request, response, script)) response.writeHead(404).end();
  });
  return listening(server, world.pages);
}

/** What the gateway has refused so far: pages do not see what is answered to their blind requests. */
export const refusals = () =>
  readFileSync(join(world.folder, "audit.jsonl"), "utf8")
    .split("\n")
    .filter((line) => line.includes('"deny"'))
    .map((line) => JSON.parse(line))
    .map(({ method, path, code }) => `${method} ${path} ${code}`);

/** A request by a program elsewhere, no browser: its status and the code of a refusal. */
export async function elsewhere(url, method, headers) {
  const lookup = (name, options, found) => found(null, [{ address: "127.0.0.1", family: 4 }]);
  const text = await new Promise((resolve, reject) => {
    const request = https.request(url, { method, headers, lookup }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve([answer.statusCode, Buffer.concat(parts).toString()]));
    });
    request.on("error", reject).end();
  });
  return text[0] < 400 ? `${text[0]}` : `${text[0]} ${JSON.parse(text[1]).code}`;
}

/** Waits until `done` says so. */
export async function eventually(what, done) {
  const end = Date.now() + 15_000;
  for (;;) {
    const came = await done();
    if (came) return came;
    assert.ok(Date.now() < end, `${what}: it did not happen`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
