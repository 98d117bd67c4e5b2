// The life of a session in two tabs, with the TypeScript client: signed in in one, it is there in both.

import assert from "node:assert/strict";
import { browser, elsewhere, eventually, require, run, upstream, world } from "./support.mjs";

const { WebSocketServer } = require("ws");
const origin = `https://api.bank.test:${world.gateway}`;
const ann = { email: "ann@example.org", password: "correct horse battery" };

const SCRIPT = `
  import { createClient } from "/countersign.min.js";
  window.createClient = createClient;
  window.told = [];
  window.client = createClient();
  window.client.onChange(({ reason }) => window.told.push(reason));
  window.refusal = (promise) => promise.then(() => "it passed", ({ status, code }) => status + " " + code);
`;

async function tab(context) {
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  await page.waitForFunction(() => window.refusal);
  return page;
}

await run(async (closing) => {
  const behind = closing(await upstream(SCRIPT));
  const sockets = [];
  const live = closing(new WebSocketServer({ server: behind, handleProtocols: ([first]) => first }));
  live.on("connection", (socket, { headers }) => {
    sockets.push(headers);
    socket.on("message", (text) => socket.send(`echo ${text}`));
  });
  const context = closing(await browser());
  const [one, two] = [await tab(context), await tab(context)];

  // Signed in in one tab, signed in in the other, which is told.
  await one.evaluate((user) => client.signUp({ ...user, name: "Ann" }), ann);
  assert.equal(await one.evaluate((user) => refusal(client.signIn({ ...user, password: "not hers" })), ann), "401 sign_in_refused");
  await one.evaluate((user) => client.signIn(user), ann);
  await eventually("the other tab learns", () => two.evaluate(() => client.signedIn && told.at(-1) === "signed-in"));
  assert.deepEqual(await two.evaluate(() => client.whoami()), { email: ann.email, name: "Ann" });

  // No script reads the cookie, and no plain HTTP carries it.
  assert.equal(await one.evaluate(() => document.cookie), "");
  const [cookie, ...others] = await context.cookies();
  assert.deepEqual(others, []);
  const { name, httpOnly, secure, sameSite, domain, path } = cookie;
  assert.deepEqual(
    { name, httpOnly, secure, sameSite, domain, path },
    { name: "__Host-session", httpOnly: true, secure: true, sameSite: "Lax", domain: "api.bank.test", path: "/" },
  );

  // Requests from both, many at once; the upstream sees who, and nothing of the proof.
  const statuses = (page, method, count) =>
    page.evaluate(
      ([method, count]) =>
        Promise.all(Array.from({ length: count }, async () => (await client.fetch("/api/orders", { method })).status)),
      [method, count],
    );
  assert.deepEqual(await statuses(one, "GET", 1), [200]);
  const [first, second] = await Promise.all([statuses(one, "POST", 12), statuses(two, "POST", 12)]);
  assert.deepEqual([...new Set([...first, ...second])], [200]);
  assert.equal(behind.seen.length, 25);
  for (const { headers } of behind.seen) {
    assert.match(headers["countersign-subject"], /^user:usr_/);
    for (const proof of ["cookie", "authorization", "handshake"]) assert.equal(headers[proof], undefined);
  }

  // A handshake counts once, and none is no handshake.
  const posted = (page, handshake) =>
    page.evaluate(async (handshake) => {
      const half = localStorage.getItem(`countersign:${location.origin}`);
      const headers = { Authorization: `Bearer ${half}`, ...(handshake ? { Handshake: handshake } : {}) };
      const answer = await fetch("/api/orders", { method: "POST", headers });
      return answer.ok ? "200" : `${answer.status} ${(await answer.json()).code}`;
    }, handshake);
  const handshake = await one.evaluate(async () => (await client.fetch("/auth/handshake", { method: "POST" })).text());
  assert.equal(await posted(one, null), "401 handshake_missing");
  assert.equal(await posted(two, handshake), "200");
  assert.equal(await posted(two, handshake), "401 handshake_used");

  // A WebSocket carries its proof among the subprotocols, of which the upstream sees its own alone.
  const socket = (protocols, page = one) =>
    page.evaluate(
      (protocols) =>
        new Promise((resolve) => {
          const socket = new WebSocket(`wss://${location.host}/api/live`, protocols);
          socket.onopen = () => socket.send("hello");
          socket.onmessage = ({ data }) => (socket.close(), resolve(`${socket.protocol} ${data}`));
          socket.onerror = () => resolve("refused");
        }),
      protocols,
    );
  const proof = await one.evaluate(() => client.webSocketProtocols());
  assert.deepEqual(proof.map((protocol) => protocol.replace(/[\w-]{43}$/, "")), ["countersign.half.", "countersign.handshake."]);
  assert.equal(await socket(["live.v1", proof[0]]), "refused");
  assert.equal(await socket(["live.v1", ...proof]), "live.v1 echo hello");
  assert.equal(await socket(["live.v1", ...proof]), "refused", "the handshake was used");
  assert.deepEqual(sockets.map((headers) => headers["sec-websocket-protocol"]), ["live.v1"]);

  // It outlives the page.
  await one.reload();
  await one.waitForFunction(() => window.refusal);
  assert.equal(await one.evaluate(() => client.signedIn), true);
  assert.deepEqual(await statuses(one, "POST", 1), [200]);

  // Signed out in one, signed out in both. Whoever had both halves was Ann until then.
  const half = await one.evaluate(() => localStorage.getItem(`countersign:${location.origin}`));
  const both = { Authorization: `Bearer ${half}`, Cookie: `__Host-session=${cookie.value}` };
  assert.equal(await elsewhere(`${origin}/api/orders`, "GET", both), "200");
  await two.evaluate(() => client.signOut());
  await eventually("the first tab learns", () => one.evaluate(() => !client.signedIn && told.at(-1) === "signed-out"));
  assert.deepEqual(await context.cookies(), []);
  for (const page of [one, two]) {
    assert.equal(await page.evaluate(() => refusal(client.fetch("/api/orders"))), "401 credential_missing");
    assert.equal(await page.evaluate(() => client.whoami()), null);
  }
  assert.equal(await elsewhere(`${origin}/api/orders`, "GET", both), "401 proof_mismatch");

  // A key-bound session proves its key in the place of a handshake, in a WebSocket too. The key stays inside.
  const keyed = await tab(closing(await browser()));
  await keyed.evaluate((user) => {
    window.client = createClient({ keyBound: true });
    return client.signIn(user);
  }, ann);
  assert.deepEqual(await statuses(keyed, "POST", 3), [200, 200, 200]);
  const bound = await keyed.evaluate(() => client.webSocketProtocols(`wss://${location.host}/api/live`));
  assert.match(bound[1], /^countersign\.dpop\.[\w-]+\.[\w-]+\.[\w-]+$/);
  assert.equal(await socket(["live.v1", bound[0]], keyed), "refused");
  assert.equal(await socket(["live.v1", ...bound], keyed), "live.v1 echo hello");
  assert.equal(await socket(["live.v1", ...bound], keyed), "refused", "each proof counts once");
  const taken = await keyed.evaluate(async () => {
    const settled = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const database = await settled(indexedDB.open("countersign", 1));
    const [{ privateKey }] = await settled(database.transaction("keys").objectStore("keys").getAll());
    const exported = ["jwk", "pkcs8", "raw"].map((form) => crypto.subtle.exportKey(form, privateKey).catch(({ name }) => name));
    return [privateKey.extractable, ...(await Promise.all(exported))];
  });
  assert.deepEqual(taken.slice(0, 3), [false, "InvalidAccessError", "InvalidAccessError"]);
  assert.equal(typeof taken[3], "string", "nor is it handed out raw");
});
