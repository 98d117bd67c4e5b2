// Pages of other origins: one that is listed works with the client; others reach nothing behind the gateway.

import assert from "node:assert/strict";
import { browser, elsewhere, eventually, pages, refusals, run, upstream, world } from "./support.mjs";

const api = `https://api.bank.test:${world.gateway}`;
const origin = (host) => `https://${host}:${world.pages}`;
const ann = { email: "ann@example.org", password: "correct horse battery" };

const SCRIPT = `
  import { createClient } from "/countersign.min.js";
  window.clientOf = (origin, keyBound) => (window.client = createClient({ origin, keyBound }));
  window.refusal = (promise) => promise.then(() => "it passed", ({ name, status, code }) => code ? status + " " + code : name);
`;

async function open(context, host) {
  const page = await context.newPage();
  await page.goto(`${origin(host)}/`);
  await page.waitForFunction(() => window.refusal);
  return page;
}

/** Everything that a page can send without asking anybody. */
const blind = (page) =>
  page.evaluate(async (api) => {
    const init = { method: "POST", mode: "no-cors", credentials: "include" };
    const form = (enctype) => {
      const frame = Object.assign(document.createElement("iframe"), { name: `frame-${enctype}` });
      const form = Object.assign(document.createElement("form"), {
        ...{ method: "POST", action: `${api}/api/orders`, target: frame.name, enctype },
      });
      form.append(Object.assign(document.createElement("input"), { name: '{"a":"', value: '"}' }));
      document.body.append(frame, form);
      return new Promise((resolve) => {
        frame.onload = resolve;
        form.submit();
      });
    };
    await form("application/x-www-form-urlencoded");
    await form("text/plain");
    await fetch(`${api}/api/orders`, { ...init, body: new URLSearchParams({ a: "1" }) });
    await fetch(`${api}/api/orders`, { ...init, body: '{"a":1}' });
    await new Promise((resolve) => {
      Object.assign(new Image(), { onload: resolve, onerror: resolve, src: `${api}/api/orders` });
    });
    const signIn = { ...init, body: '{"email":"eve@example.net","password":"correct horse battery"}' };
    await fetch(`${api}/auth/signin`, signIn);
  }, api);

/** Whether the browser opens a WebSocket that carries these. */
const socket = (page, protocols) =>
  page.evaluate(
    ([url, protocols]) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url, protocols);
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("refused");
      }),
    [`${api.replace("https", "wss")}/api/live`, protocols],
  );

await run(async (closing) => {
  const behind = closing(await upstream(SCRIPT));
  closing(await pages(SCRIPT));
  const context = closing(await browser());

  // A page of the same site whose origin is listed: preflights, proofs, nonces and decisions all come through.
  const app = await open(context, "app.bank.test");
  for (const keyBound of [false, true]) {
    const seen = behind.seen.length;
    await app.evaluate(([api, keyBound]) => void clientOf(api, keyBound), [api, keyBound]);
    if (!keyBound) await app.evaluate((user) => client.signUp({ ...user, name: "Ann" }), ann);
    await app.evaluate((user) => client.signIn(user), ann);
    assert.deepEqual(await app.evaluate(() => client.whoami()), { email: ann.email, name: "Ann" });
    const came = await app.evaluate(async () => {
      const read = await client.fetch("/api/orders");
      const written = await client.fetch("/api/orders", { method: "POST", body: "{}" });
      return [read.status, written.status, /^[0-9a-f-]{36}$/.test(written.headers.get("Countersign-Decision"))];
    });
    assert.deepEqual(came, [200, 200, true]);
    assert.equal(await app.evaluate(() => refusal(client.fetch("/vault/1"))), keyBound ? "it passed" : "401 dpop_invalid");
    assert.equal(behind.seen.length, seen + (keyBound ? 3 : 2));
    if (!keyBound) await app.evaluate(() => client.signOut());
  }
  // Ann stays signed in, by a session without a key, which is easier to steal from.
  await app.evaluate(() => client.signOut());
  await app.evaluate(([api, user]) => clientOf(api, false).signIn(user), [api, ann]);
  const [half, ...handshake] = await app.evaluate(() => client.webSocketProtocols());
  const stolen = { half: half.replace("countersign.half.", ""), handshake: handshake[0].replace(/.*\./, "") };

  // The others: a neighbour of the same site, to which the browser adds the cookie, and Eve's own.
  for (const [host, alone] of [["other.bank.test", "proof_half"], ["eve.test", "credential_missing"]]) {
    const seen = behind.seen.length;
    const page = await open(context, host);
    let before = refusals().length;
    /** Exactly these have been refused since, in whatever order. */
    const arrived = async (...expected) => {
      const told = () => refusals().slice(before);
      await eventually(expected.join(), () => told().length >= expected.length);
      assert.deepEqual(told().toSorted(), expected.toSorted());
      before += expected.length;
    };
    await blind(page);
    const posted = `POST /api/orders ${alone}`;
    const expected = [posted, posted, posted, posted, `GET /api/orders ${alone}`, "POST /auth/signin cross_site"];
    await arrived(...expected);

    // With the half that a script found, and a handshake: the browser asks first, and then sends nothing.
    const asking = [];
    page.on("console", (message) => asking.push(message.text()));
    const came = await page.evaluate(
      ([api, { half, handshake }]) => {
        const headers = { Authorization: `Bearer ${half}`, Handshake: handshake };
        return refusal(fetch(`${api}/api/orders`, { method: "POST", credentials: "include", headers }));
      },
      [api, stolen],
    );
    assert.equal(came, "TypeError");
    await eventually("the browser says why", () => asking.some((text) => /preflight/.test(text)));
    const client = page.evaluate(([api, user]) => refusal(clientOf(api, false).signIn(user)), [api, ann]);
    assert.equal(await client, "TypeError");
    await arrived("OPTIONS /api/orders credential_missing", "OPTIONS /auth/signin method_not_allowed");
    // Nobody asks before a WebSocket. From the same site it carries both halves, and is refused by its origin.
    assert.equal(await socket(page, [half, ...handshake]), "refused");
    await arrived(`GET /api/live ${host === "eve.test" ? "proof_half" : "cross_site"}`);
    assert.equal(behind.seen.length, seen, "nothing of all this reached the upstream");
    await page.close();
  }

  // A program elsewhere, with what a script could carry away.
  const tries = [
    [{ Authorization: `Bearer ${stolen.half}` }, "GET", "proof_half"],
    [{ Authorization: `Bearer ${stolen.half}`, Handshake: stolen.handshake }, "POST", "proof_half"],
    [{ Handshake: stolen.handshake }, "POST", "credential_missing"],
  ];
  for (const [headers, method, code] of tries) {
    assert.equal(await elsewhere(`${api}/api/orders`, method, headers), `401 ${code}`);
  }
  // The handshake that all of them carried is still there: refused requests burn nothing.
  const { half: token, handshake: fresh } = stolen;
  const own = await app.evaluate(
    async ([api, token, fresh]) => {
      const headers = { Authorization: `Bearer ${token}`, Handshake: fresh };
      return (await fetch(`${api}/api/orders`, { method: "POST", credentials: "include", headers })).status;
    },
    [api, token, fresh],
  );
  assert.equal(own, 200);
});
