// Proofs of possession: what they say, key-bound sessions, and access tokens bound to a key.

import assert from "node:assert/strict";
import { webcrypto as crypto } from "node:crypto";
import "fake-indexeddb/auto";
import { afterEach, beforeEach, describe, test } from "node:test";
import { Prover, generateProofKey, tokenFetch } from "../dist/index.js";
import { indexedDbKeys } from "../dist/session/keys.js";
import { ANN, Browser } from "./support/browser.mjs";
import { readProof, thumbprint } from "./support/jwt.mjs";
import { denial, Server } from "./support/server.mjs";
import { vectors } from "./support/vectors.mjs";

const refused = (code, status = 401) => ({ name: "CountersignError", code, status });

let server, browser, tab;
beforeEach(async () => {
  server = await new Server().start();
  server.keyBound = true;
  browser = new Browser(server);
  tab = browser.tab({ keyBound: true });
});
afterEach(() => server.stop());

describe("a proof", () => {
  test("says what those of RFC 9449 say", async () => {
    const { jwk, proofs, token, thumbprint: name } = vectors("dpop");
    for (const { proof, method, url, payload } of proofs) {
      const theirs = readProof(proof);
      const prover = await Prover.generate(() => payload.iat * 1000 + 999);
      const ours = readProof(await prover.proof(method, new URL(url), payload.ath && token));
      assert.deepEqual({ ...ours.payload, jti: payload.jti }, payload);
      assert.deepEqual([ours.header.typ, ours.header.alg], [theirs.header.typ, theirs.header.alg]);
      assert.deepEqual(Object.keys(ours.header.jwk).sort(), Object.keys(theirs.header.jwk).sort());
    }
    const publicKey = await crypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
    assert.equal(await new Prover({ publicKey }).thumbprint(), name);
  });

  test("is another each time, and by a key that cannot be read", async () => {
    const key = await generateProofKey();
    const prover = new Prover(key);
    const proofs = [0, 1].map(() => prover.proof("GET", new URL("https://bob.example/")));
    const [one, other] = (await Promise.all(proofs)).map((proof) => readProof(proof).payload.jti);
    assert.notEqual(one, other);
    assert.equal(key.privateKey.extractable, false);
    for (const format of ["jwk", "pkcs8"]) await assert.rejects(crypto.subtle.exportKey(format, key.privateKey));
  });

  test("has the nonce of its own server alone", async () => {
    const prover = await Prover.generate();
    const [bob, carol] = ["https://bob.example/a", "https://carol.example/a"].map((url) => new URL(url));
    const answer = new Response("", { headers: { "DPoP-Nonce": "of-bob" } });
    assert.deepEqual([prover.learn(bob, answer), prover.learn(bob, answer)], [true, false]);
    assert.equal(readProof(await prover.proof("GET", bob)).payload.nonce, "of-bob");
    assert.equal(readProof(await prover.proof("GET", carol)).payload.nonce, undefined);
  });
});

describe("a key-bound session", () => {
  test("proves its key with every request, in place of a handshake", async () => {
    await tab.signIn(ANN);
    assert.equal(server.count("POST /auth/signin"), 2);
    assert.equal((await tab.fetch("/api/orders?page=2")).status, 200);
    assert.equal((await tab.fetch("/api/orders", { method: "POST", body: "{}" })).status, 200);
    assert.equal((await tab.whoami()).name, "Ann");
    await tab.endSession("nobody's");
    assert.equal(server.count("GET /api/orders"), 1, "the nonce of the sign-in is known");
    assert.equal(server.count("POST /auth/handshake"), 0);
    assert.ok(server.requests.every(({ headers }) => headers.dpop && !headers.handshake));
    await tab.signOut();
    assert.deepEqual([server.sessions.size, browser.keys.size, tab.signedIn], [0, 0, false]);
  });

  test("takes a new nonce and goes on", async () => {
    await tab.signIn(ANN);
    server.nonce = "another";
    const answer = await (await tab.fetch("/api/orders", { method: "POST", body: "cups=2" })).json();
    assert.equal(answer.body, "cups=2");
    assert.equal(server.count("POST /api/orders"), 2);
    await tab.fetch("/api/orders");
    assert.equal(server.count("GET /api/orders"), 1);
  });

  test("tries once with a new nonce, and never without one", async () => {
    await tab.signIn(ANN);
    const refuse = (nonce) => denial(401, "dpop_invalid", { "DPoP-Nonce": nonce });
    server.instead.set("/api/orders", [refuse("one"), refuse("two")]);
    await assert.rejects(tab.fetch("/api/orders"), refused("dpop_invalid"));
    assert.equal(server.count("GET /api/orders"), 2);
    server.instead.set("/api/orders", [refuse("two")]);
    await assert.rejects(tab.fetch("/api/orders"), refused("dpop_invalid"));
    assert.equal(server.count("GET /api/orders"), 3);
    assert.equal(tab.signedIn, true);
  });

  test("repeats no body that is gone", async () => {
    await tab.signIn(ANN);
    server.nonce = "another";
    const init = { method: "POST", body: new Blob(["once"]).stream(), duplex: "half" };
    await assert.rejects(tab.fetch("/api/orders", init), refused("dpop_invalid"));
    assert.equal(server.count("POST /api/orders"), 1);
  });

  test("is not repeated for what a nonce does not mend", async () => {
    await tab.signIn(ANN);
    const nonce = (value) => ({ "DPoP-Nonce": value });
    const answer = { headers: nonce("y"), body: JSON.stringify({ code: "dpop_invalid", error: "use_dpop_nonce" }) };
    server.instead.set("/api/orders", [denial(403, "permission_missing", nonce("x")), answer]);
    await assert.rejects(tab.fetch("/api/orders"), refused("permission_missing", 403));
    assert.equal((await tab.fetch("/api/orders")).status, 200);
    assert.equal(server.count("GET /api/orders"), 2);
  });

  test("is every tab's, with one key", async () => {
    await tab.signIn(ANN);
    const other = browser.tab({ keyBound: true });
    assert.equal((await other.whoami()).name, "Ann");
    await browser.tab({ keyBound: true }).signIn(ANN);
    assert.equal((await tab.fetch("/api/orders")).status, 200);
    assert.equal((await other.fetch("/api/orders")).status, 200);
  });

  test("has another key than the session before it", async () => {
    await tab.signIn(ANN);
    await tab.signIn(ANN);
    const [one, other] = [...server.sessions.values()].map(({ jkt }) => jkt);
    assert.notEqual(one, other);
  });

  test("keeps its key when another sign-in fails", async () => {
    await tab.signIn(ANN);
    await assert.rejects(tab.signIn({ ...ANN, password: "wrong" }), refused("token_invalid"));
    assert.equal((await browser.tab({ keyBound: true }).whoami()).name, "Ann");
  });

  test("ends where its key is lost, and sends nothing", async () => {
    await tab.signIn(ANN);
    browser.keys.clear();
    const other = browser.tab({ keyBound: true });
    const asked = server.requests.length;
    await assert.rejects(other.fetch("/api/orders"), refused("proof_half"));
    assert.deepEqual(other.changes, [{ signedIn: false, reason: "ended" }]);
    assert.equal(server.requests.length, asked);
  });

  test("is nobody's whose halves are stolen", async () => {
    await tab.signIn(ANN);
    const thief = browser.tab({ keyBound: true, keys: { get: generateProofKey } });
    await assert.rejects(thief.fetch("/api/orders"), refused("dpop_invalid"));
    await assert.rejects(browser.tab().fetch("/api/orders"), refused("dpop_invalid"));
  });

  test("signed out after another tab's sign-in leaves that one its key", async () => {
    await tab.signIn(ANN);
    const slow = browser.tab({
      keyBound: true,
      async fetch(...request) {
        const response = await browser.fetch(...request);
        if (response.ok) await browser.tab({ keyBound: true }).signIn(ANN);
        return response;
      },
    });
    await slow.signOut();
    assert.deepEqual([browser.keys.size, (await tab.whoami()).name], [1, "Ann"]);
  });

  test("proves a WebSocket's address", async () => {
    await tab.signIn(ANN);
    const url = `${server.origin.replace("http", "ws")}/live?topic=1`;
    const [half, proof, ...more] = await tab.webSocketProtocols(url);
    assert.deepEqual([half, more], [`countersign.half.${browser.half}`, []]);
    const { payload } = readProof(/^countersign\.dpop\.([\w.-]+)$/.exec(proof)[1]);
    assert.deepEqual([payload.htm, payload.htu], ["GET", `${server.origin}/live`]);
    await assert.rejects(tab.webSocketProtocols(), TypeError);
    await assert.rejects(tab.webSocketProtocols("wss://eve.example/live"), TypeError);
    const relative = await tab.webSocketProtocols("/live");
    assert.equal(readProof(relative[1].slice("countersign.dpop.".length)).payload.htu, `${server.origin}/live`);
  });

  test("keeps its key in IndexedDB, where it stays unreadable", async () => {
    const keys = indexedDbKeys();
    assert.equal(await keys.get("https://bob.example"), undefined);
    const key = await generateProofKey();
    await keys.put("https://bob.example", key);
    const kept = await indexedDbKeys().get("https://bob.example");
    assert.equal(kept.privateKey.extractable, false);
    assert.equal(await new Prover(kept).thumbprint(), await new Prover(key).thumbprint());
    await keys.delete("https://bob.example");
    assert.equal(await keys.get("https://bob.example"), undefined);
    const client = browser.tab({ keyBound: true, keys: undefined });
    await client.signIn(ANN);
    assert.equal((await client.whoami()).name, "Ann");
    assert.equal((await browser.tab({ keyBound: true, keys: undefined }).whoami()).name, "Ann");
  });
});

describe("an access token", () => {
  const token = "eyJ.eyJ.c2ln";

  test("goes with a proof, to its API alone", async () => {
    const prover = await Prover.generate();
    const api = tokenFetch({ origin: server.origin, token: async () => token, prover });
    server.instead.set("/api/orders", [{ status: 200 }]);
    await api("/api/orders?a=1", { method: "PUT", body: "x" });
    const { headers } = server.requests.at(-1);
    assert.equal(headers.authorization, `DPoP ${token}`);
    const { header, payload } = readProof(headers.dpop);
    assert.equal(thumbprint(header.jwk), await prover.thumbprint());
    const { ath, htm, htu } = payload;
    assert.deepEqual({ ath, htm, htu }, { ath: "lgPxmyU-mVsOc8sHg1cqDzxutby4gro9WlEd4WpAEPE", htm: "PUT", htu: `${server.origin}/api/orders` });
    await assert.rejects(api("https://eve.example/"), TypeError);
    server.instead.set("/api/orders", [{ status: 302, headers: { Location: "/api/other" } }]);
    await assert.rejects(api("/api/orders"), TypeError);
  });

  test("is tried again with a server's nonce, as either side says that", async () => {
    const api = tokenFetch({ origin: server.origin, token, prover: await Prover.generate() });
    const wanted = [
      { status: 401, headers: { "DPoP-Nonce": "n1", "WWW-Authenticate": 'DPoP error="use_dpop_nonce"' } },
      { status: 400, headers: { "DPoP-Nonce": "n2", "Content-Type": "application/json" }, body: '{"error":"use_dpop_nonce"}' },
      denial(401, "dpop_invalid", { "DPoP-Nonce": "n3" }),
    ];
    for (const [at, answer] of wanted.entries()) {
      server.instead.set("/api/orders", [answer, { status: 200 }]);
      assert.equal((await api("/api/orders", { method: "POST", body: "x" })).status, 200);
      assert.equal(readProof(server.requests.at(-1).headers.dpop).payload.nonce, `n${at + 1}`);
      assert.equal(server.requests.at(-1).body, "x");
      server.keyBound = false;
    }
  });
});
