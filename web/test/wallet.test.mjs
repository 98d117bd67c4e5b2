// Wallets: addresses, the `asymmetric` header, ERC-8128, and signing in for tokens.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { asymmetricFetch, asymmetricHeader, checksummed, refreshTokens, siwe, tokenFetch, Wallet } from "../dist/index.js";
import { signatureBase } from "../dist/signature/base.js";
import { asymmetricMessage } from "../dist/wallet/asymmetric.js";
import { keccak256 } from "../dist/wallet/keccak.js";
import { siweAssertion, siweMessage } from "../dist/wallet/siwe.js";
import { readProof, thumbprint } from "./support/jwt.mjs";
import { personalHash, provider } from "./support/provider.mjs";
import { Server } from "./support/server.mjs";
import { vectors } from "./support/vectors.mjs";

const bytes = (hex) => Uint8Array.from(Buffer.from(hex.replace(/^0x/, ""), "hex"));
const hex = (message) => Buffer.from(message).toString("hex");
const ethereum = vectors("ethereum");
const KEY = vectors("asymmetric").key;

describe("an account", () => {
  test("has an address in mixed case, as EIP-55 writes it", () => {
    for (const { message, hash } of ethereum.keccak256) assert.equal(hex(keccak256(bytes(message))), hash);
    for (const address of ethereum.addresses) {
      assert.equal(checksummed(address.toLowerCase()), address);
      assert.equal(checksummed(`0x${address.slice(2).toUpperCase()}`), address);
    }
    for (const text of ["", "0x", `0x${"a".repeat(39)}`, `0x${"a".repeat(41)}`, "a".repeat(40), `0x${"g".repeat(40)}`]) {
      assert.throws(() => checksummed(text), TypeError);
    }
  });

  test("signs personal messages over their bytes", async () => {
    for (const { key, address, message, hash, signature } of ethereum.messages) {
      const wallet = await Wallet.connect(provider(key));
      assert.equal(wallet.address, address);
      assert.equal(hex(personalHash(bytes(message))), hash);
      assert.equal(`0x${hex(await wallet.sign(bytes(message)))}`, signature);
      assert.deepEqual(wallet.provider.calls.at(-1), { method: "personal_sign", params: [`0x${message}`, address] });
    }
  });

  test("is one that the wallet has", async () => {
    const { address } = provider(KEY);
    assert.equal((await Wallet.connect(provider(KEY), address)).address, checksummed(address));
    await assert.rejects(Wallet.connect(provider(KEY), `0x${"1".repeat(40)}`), TypeError);
    await assert.rejects(Wallet.connect({ request: async () => [] }), TypeError);
    assert.equal(await (await Wallet.connect(provider(KEY, 8453))).chainId(), 8453);
  });

  test("is one that a key controls", async () => {
    const answers = (signature) => {
      const real = provider(KEY);
      const request = async (call) => (call.method === "personal_sign" ? signature : real.request(call));
      return Wallet.connect({ request });
    };
    const wallet = await Wallet.connect(provider(KEY));
    const signature = hex(await wallet.sign(bytes("00")));
    // A contract's signature is of another length (ERC-1271).
    await assert.rejects((await answers(`0x${signature}00`)).sign(bytes("00")), TypeError);
    await assert.rejects((await answers("no")).sign(bytes("00")), TypeError);
    const low = `0x${signature.slice(0, -2)}${signature.endsWith("1b") ? "00" : "01"}`;
    assert.equal(hex(await (await answers(low)).sign(bytes("00"))), signature);
  });
});

describe("the asymmetric header", () => {
  const { key, now, cases } = vectors("asymmetric");

  test("is the one that other libraries make", async () => {
    const wallet = await Wallet.connect(provider(key));
    for (const [at, { method, target, body, message, header }] of cases.entries()) {
      const url = new URL(`https://bob.example${target}`);
      assert.equal(hex(asymmetricMessage(now + at, method, url, bytes(body))), message);
      assert.equal(await asymmetricHeader(wallet, { method, url, body: bytes(body) }, now + at), header);
    }
    assert.equal(cases.length, 6);
  });

  test("is not made where lines could be moved", async () => {
    const wallet = await Wallet.connect(provider(key));
    const refused = [["GET", "/a|b"], ["GET", "/a?b|c"], ["GE|T", "/"]];
    for (const [method, path] of refused) {
      const request = { method, url: `https://bob.example${path}` };
      await assert.rejects(asymmetricHeader(wallet, request, now), /vertical line/);
    }
    await asymmetricHeader(wallet, { method: "POST", url: "https://bob.example/", body: "a|b" }, now);
  });

  test("has another nonce for each request, at one time too", async () => {
    const sent = [];
    const fetch = async (url, init) => (sent.push({ url: String(url), ...init }), new Response());
    const api = asymmetricFetch(await Wallet.connect(provider(key)), { origin: "https://bob.example", fetch, now: () => now });
    await Promise.all([api("/orders"), api("/orders", { method: "POST", body: "{}" }), api("/orders?")]);
    assert.ok(sent.every(({ url }) => url === "https://bob.example/orders"), "not every fetch sends a bare question mark");
    const wallet = await Wallet.connect(provider(key));
    for (const { method, headers, body = "" } of sent) {
      const value = headers.get("AsymmetricAuthentication");
      const request = { method, url: "https://bob.example/orders", body };
      assert.equal(value, await asymmetricHeader(wallet, request, JSON.parse(value).Nonce));
    }
    const made = sent.map(({ headers }) => JSON.parse(headers.get("AsymmetricAuthentication")));
    assert.deepEqual(made.map(({ Nonce }) => Nonce).sort(), [now, now + 1, now + 2]);
    assert.ok(made.every(({ Nonce, Timestamp }) => Date.parse(Timestamp) === Nonce));
    await assert.rejects(api("https://eve.example/"), TypeError);
    assert.ok(sent.every(({ redirect }) => redirect === "error"));
  });
});

test("ERC-8128 signs the draft's own base as the draft does", async () => {
  const { key, method, target, content_type, content_digest, signature_input, signature, hash } = ethereum.erc8128;
  const parameters = signature_input.slice("request=".length);
  const components = [.../^\(([^)]*)\)/.exec(parameters)[1].matchAll(/"([^"]+)"/g)].map(([, name]) => name);
  const headers = new Headers({ "Content-Type": content_type, "Content-Digest": content_digest });
  const base = new TextEncoder().encode(signatureBase(components, parameters, { method, url: new URL(target), headers }));
  assert.equal(hex(personalHash(base)), hash);
  const wallet = await Wallet.connect(provider(key));
  assert.equal(`request=:${Buffer.from(await wallet.sign(base)).toString("base64")}:`, signature);
});

describe("signing in for tokens", () => {
  const granted = { access_token: "a.b.c", token_type: "DPoP", expires_in: 300, id_token: "i.d.t", refresh_token: "r", scope: "orders" };
  const json = (body, status = 200, headers = {}) => ({ status, headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });
  const now = Date.now();
  let server, wallet;
  const sign = (options) => siwe({ origin: server.origin, wallet, now: () => now, ...options });
  beforeEach(async () => {
    server = await new Server().start();
    wallet = await Wallet.connect(provider(KEY));
    server.instead.set("/oauth/nonce", [json({ nonce: "abcdefgh12345678" })]);
    server.instead.set("/oauth/token", [json(granted)]);
  });
  afterEach(() => server.stop());

  test("signs the messages that EIP-4361 describes", async () => {
    const { key, cases } = vectors("siwe");
    const account = await Wallet.connect(provider(key));
    for (const { fields, message, signature, assertion } of cases) {
      assert.equal(siweMessage(fields), message);
      const signed = await account.sign(new TextEncoder().encode(message));
      assert.equal(`0x${hex(signed)}`, signature);
      assert.equal(siweAssertion(message, signed), assertion);
    }
    assert.equal(cases.length, 3);
    for (const name of ["domain", "statement", "uri", "nonce"]) {
      assert.throws(() => siweMessage({ ...cases[0].fields, [name]: "a\nChain ID: 2" }), TypeError);
    }
    assert.throws(() => siweMessage({ ...cases[0].fields, resources: ["a\r- b"] }), TypeError);
  });

  test("asks for a nonce, signs, and proves the key that the tokens are for", async () => {
    const tokens = await sign({ statement: "Sign in.", chainId: 5, scope: "orders" });
    const { accessToken, idToken, refreshToken, expiresIn, scope, prover } = tokens;
    assert.deepEqual([accessToken, idToken, refreshToken, expiresIn, scope], ["a.b.c", "i.d.t", "r", 300, "orders"]);
    assert.deepEqual(server.asked, ["POST /oauth/nonce", "POST /oauth/token"]);
    const { headers, body } = server.requests[1];
    const form = Object.fromEntries(new URLSearchParams(body));
    assert.deepEqual(Object.keys(form), ["grant_type", "assertion", "scope"]);
    assert.deepEqual([form.grant_type, form.scope], ["urn:countersign:grant-type:siwe", "orders"]);
    assert.ok(headers["content-type"].startsWith("application/x-www-form-urlencoded"));
    const { header, payload } = readProof(headers.dpop);
    assert.deepEqual([payload.htm, payload.htu, payload.ath], ["POST", `${server.origin}/oauth/token`, undefined]);
    assert.equal(thumbprint(header.jwk), await prover.thumbprint());

    const { message, signature } = JSON.parse(Buffer.from(form.assertion, "base64url"));
    assert.equal(message, siweMessage({
      domain: new URL(server.origin).host,
      address: wallet.address,
      statement: "Sign in.",
      uri: server.origin,
      chainId: 5,
      nonce: "abcdefgh12345678",
      issuedAt: new Date(now).toISOString(),
      expirationTime: new Date(now + 300_000).toISOString(),
      resources: [`urn:ietf:params:oauth:jwk-thumbprint:sha-256:${await prover.thumbprint()}`],
    }));
    assert.equal(signature, `0x${hex(await wallet.sign(new TextEncoder().encode(message)))}`);

    const api = tokenFetch({ origin: server.origin, token: accessToken, prover });
    server.instead.set("/api/orders", [{ status: 200 }]);
    assert.equal((await api("/api/orders")).status, 200);
  });

  test("takes a server's nonce, and no token without a key", async () => {
    const wanted = json({ error: "use_dpop_nonce" }, 400, { "DPoP-Nonce": "n" });
    server.instead.set("/oauth/token", [wanted, json(granted)]);
    await sign();
    assert.equal(readProof(server.requests.at(-1).headers.dpop).payload.nonce, "n");
    for (const bad of [{ ...granted, token_type: "Bearer" }, { ...granted, access_token: undefined }, {}]) {
      server.instead.set("/oauth/nonce", [json({ nonce: "abcdefgh12345678" })]);
      server.instead.set("/oauth/token", [json(bad)]);
      await assert.rejects(sign(), { name: "CountersignError", code: "unexpected_answer" });
    }
  });

  test("signs nothing for a nonce that is none", async () => {
    for (const nonce of ["", "short", "abcdefgh 12345678", "abcdefgh\nResources:", 12345678, undefined]) {
      server.instead.set("/oauth/nonce", [json({ nonce })]);
      await assert.rejects(sign(), { code: "unexpected_answer" });
    }
    assert.ok(wallet.provider.calls.every(({ method }) => method !== "personal_sign"));
  });

  test("says why not, in OAuth's words", async () => {
    const refused = { error: "invalid_grant", error_description: "the nonce was used" };
    server.instead.set("/oauth/token", [json(refused, 400)]);
    await assert.rejects(sign(), { name: "CountersignError", status: 400, code: "invalid_grant", detail: "the nonce was used" });
  });

  test("is followed by refreshing, with the same key", async () => {
    const { prover, refreshToken } = await sign();
    server.instead.set("/oauth/token", [json({ ...granted, access_token: "d.e.f", refresh_token: "r2" })]);
    const next = await refreshTokens(refreshToken, { origin: server.origin, prover });
    assert.deepEqual([next.accessToken, next.refreshToken, next.prover], ["d.e.f", "r2", prover]);
    const { headers, body } = server.requests.at(-1);
    assert.equal(body, "grant_type=refresh_token&refresh_token=r");
    assert.equal(thumbprint(readProof(headers.dpop).header.jwk), await prover.thumbprint());
  });
});
