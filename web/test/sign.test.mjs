// Signed requests: the same as other libraries make, for every kind of key.

import assert from "node:assert/strict";
import { createPublicKey, verify, webcrypto as crypto } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";
import { inspect } from "node:util";
import { after, before, describe, test } from "node:test";
import { apiKeySigner, contentDigest, ed25519Signer, hmacSigner, p256Signer, signedFetch, signRequest } from "../dist/sign.js";
import { deriveSeed, readApiKey } from "../dist/signature/api_key.js";
import { signatureBase } from "../dist/signature/base.js";
import { Wallet, walletSigner } from "../dist/index.js";
import { provider } from "./support/provider.mjs";
import { vectors } from "./support/vectors.mjs";

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"));

async function signer(described) {
  const { kind, keyid, jwk } = described;
  switch (kind) {
    case "api-key":
      return apiKeySigner(described.key);
    case "ed25519":
      return ed25519Signer(keyid, jwk);
    case "ecdsa-p256-sha256":
      return p256Signer(keyid, jwk);
    case "hmac-sha256":
      return hmacSigner(keyid, bytes(described.secret));
    case "erc8128":
      return walletSigner(
        await Wallet.connect(provider(described.key)),
        described.chain,
        described.form === "untagged" ? "erc8128-untagged" : undefined,
      );
  }
}

describe("the vectors", () => {
  const { created, signers, cases } = vectors("signing");
  for (const described of signers) {
    test(`of ${described.name} are made alike`, async () => {
      const own = cases.filter(({ signer }) => signer === described.name);
      assert.equal(own.length, 5);
      for (const { method, target, headers, body, nonce, digest, base, input, signature } of own) {
        const request = { method, url: target, headers, ...(body === null ? {} : { body }) };
        const at = { now: created * 1000 + 999, nonce: Buffer.from(nonce, "hex").toString("base64url") };
        const signed = await signRequest(await signer(described), request, at);
        assert.equal(signed.get("Content-Digest"), digest);
        assert.equal(signed.get("Signature-Input"), input);
        const names = [.../\(([^)]*)\)/.exec(input)[1].matchAll(/"([^"]+)"/g)].map(([, name]) => name);
        const parameters = input.slice("sig1=".length);
        assert.equal(signatureBase(names, parameters, { method, url: new URL(target), headers: signed }), base.join("\n"));
        if (described.kind === "ecdsa-p256-sha256") {
          const [, text] = /^sig1=:(.*):$/.exec(signed.get("Signature"));
          const key = { key: createPublicKey({ key: described.jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" };
          assert.ok(verify("sha256", Buffer.from(base.join("\n")), key, Buffer.from(text, "base64")));
        } else {
          assert.equal(signed.get("Signature"), signature);
        }
      }
    });
  }

  test("of RFC 9421 have our signature bases, and our signatures", async () => {
    const { cases, messages, keys } = vectors("rfc9421");
    const names = ["section-2.5", "sig-b21", "sig-b23", "sig-b25", "sig-b26", "ttrp", "transform"];
    for (const { message, input, base, ...rest } of cases.filter(({ name }) => names.includes(name))) {
      const { method, target, headers } = messages[message];
      const components = [.../^\(([^)]*)\)/.exec(input)[1].matchAll(/"([^"]+)"/g)].map(([, name]) => name);
      const head = { method, url: new URL(target), headers: new Headers(headers) };
      assert.equal(signatureBase(components, input, head), base.join("\n"), rest.name);
      const key = keys[rest.key];
      const signer =
        rest.algorithm === "ed25519" && key.private
          ? await ed25519Signer("a", key.private)
          : rest.algorithm === "hmac-sha256" && (await hmacSigner("a", Buffer.from(key.k, "base64")));
      if (signer) {
        const signature = await signer.sign(new TextEncoder().encode(base.join("\n")));
        assert.equal(Buffer.from(signature).toString("base64"), rest.signature, rest.name);
      }
    }
    assert.equal(cases.filter(({ name }) => names.includes(name)).length, names.length);
    const { body } = messages.request;
    const digest = await contentDigest(new TextEncoder().encode(body));
    assert.equal(digest, "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:");
  });

  test("of whole targets keep every byte", () => {
    const head = (url) => ({ method: "GET", url: new URL(url), headers: new Headers() });
    for (const [url, path, query] of [
      ["https://a/", "/", "?"],
      ["https://a", "/", "?"],
      ["http://t/t?", "/t", "?"],
      ["https://bob.example/a%2Fb//c?x=%7C&&y#part", "/a%2Fb//c", "?x=%7C&&y"],
      ["https://bob.example/?q=http://bob.example/?z", "/", "?q=http://bob.example/?z"],
    ]) {
      const lines = signatureBase(["@path", "@query"], "()", head(url)).split("\n");
      assert.deepEqual(lines.slice(0, 2), [`"@path": ${path}`, `"@query": ${query}`], url);
    }
    const whole = signatureBase(["@target-uri", "@request-target"], "()", head("https://Bob.example:443/a?b#c"));
    assert.ok(whole.startsWith('"@target-uri": https://bob.example/a?b\n"@request-target": /a?b\n'));
    assert.throws(() => signatureBase(["x-absent"], "()", head("https://a")), TypeError);
  });
});

describe("API keys", () => {
  const { keys, refused } = vectors("api_key");

  test("yield the keys that they sign with", async () => {
    for (const { key, id, secret, seed } of keys) {
      const read = readApiKey(key);
      assert.deepEqual([read.id, hex(read.secret), hex(await deriveSeed(read.secret))], [id, secret, seed]);
    }
    assert.equal(keys.length, 4);
  });

  test("that are mistyped are refused, and never repeated", async () => {
    for (const { what, key } of refused) {
      const error = await apiKeySigner(key).catch((thrown) => thrown);
      assert.ok(error instanceof TypeError, what);
      assert.ok(key === "" || !inspect(error).includes(key), what);
    }
    assert.ok(refused.length >= 9);
  });

  test("are in nothing that can be printed or sent", async () => {
    const signer = await apiKeySigner(keys[3].key);
    const headers = await signRequest(signer, { method: "GET", url: "https://bob.example/" });
    const shown = inspect([signer, [...headers]], { depth: 9, showHidden: true });
    assert.ok(!shown.includes(keys[3].key.slice(16)));
  });
});

describe("keys", () => {
  const { keys, message } = vectors("keys");
  const [ed25519, p256] = keys;
  const text = new TextEncoder().encode(message);

  test("are read as PEM, bytes, JWK, or as WebCrypto holds them", async () => {
    const pem = ed25519.private[0];
    const der = Buffer.from(pem.split("\n")[1], "base64");
    const held = await crypto.subtle.importKey("pkcs8", der, "Ed25519", false, ["sign"]);
    for (const key of [pem, der, ed25519.jwk, { ...ed25519.jwk, alg: "EdDSA", use: "sig", kid: "a" }, held]) {
      const signature = await (await ed25519Signer("a", key)).sign(text);
      assert.equal(Buffer.from(signature).toString("base64"), ed25519.signature);
    }
    const key = { key: createPublicKey(p256.public[0]), dsaEncoding: "ieee-p1363" };
    for (const form of [p256.private[0], p256.jwk, { ...p256.jwk, alg: "ecdsa-p256-sha256", kid: "a" }]) {
      assert.ok(verify("sha256", text, key, await (await p256Signer("a", form)).sign(text)));
    }
  });

  test("of another kind, or in another form, are refused", async () => {
    await assert.rejects(p256Signer("a", p256.private[1]), /PKCS #8/);
    await assert.rejects(p256Signer("a", ed25519.jwk));
    await assert.rejects(ed25519Signer("a", p256.private[0]));
    for (const id of ["", 'a"b', "a\\b", "a b", "ä", "a\n"]) await assert.rejects(ed25519Signer(id, ed25519.jwk), TypeError);
  });
});

describe("a signature", () => {
  const { keys } = vectors("api_key");
  const get = { method: "GET", url: "https://bob.example/" };
  let signer;
  before(async () => (signer = await apiKeySigner(keys[0].key)));

  test("counts for a minute, and is another each time", async () => {
    const parameters = /;created=(\d+);expires=(\d+);nonce="([\w-]{22})";keyid="0123456789AB";tag="countersign"$/;
    const made = [];
    for (let time = 0; time < 2; time++) {
      const [, created, expires, nonce] = parameters.exec((await signRequest(signer, get)).get("Signature-Input"));
      assert.ok(Math.abs(created - Date.now() / 1000) < 5);
      assert.equal(expires - created, 60);
      made.push(nonce);
    }
    assert.notEqual(made[0], made[1]);
  });

  test("is not put beside another", async () => {
    const headers = { "Signature-Input": 'sig1=();created=1', Signature: "sig1=:AA==:" };
    await assert.rejects(signRequest(signer, { ...get, headers }), TypeError);
  });

  test("of bytes and of text is the same", async () => {
    const at = { now: 0, nonce: "n" };
    const post = { method: "POST", url: "https://bob.example/" };
    const [one, other] = await Promise.all(
      ["grüße", new TextEncoder().encode("grüße")].map((body) => signRequest(signer, { ...post, body }, at)),
    );
    assert.equal(one.get("Signature"), other.get("Signature"));
    assert.ok(one.get("Content-Digest"));
  });
});

describe("a fetch that signs", () => {
  const received = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    received.push({ ...request, url: request.url, method: request.method, headers: request.headers, body: Buffer.concat(chunks) });
    if (request.url === "/away") response.writeHead(307, { Location: "/other" });
    response.end();
  });
  const secret = new Uint8Array(32).fill(7);
  let origin, api;
  before(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    origin = `http://127.0.0.1:${server.address().port}`;
    api = signedFetch(await hmacSigner("shared", secret), { origin });
  });
  after(() => server.close());

  /** Whether what arrived is what was signed. */
  async function holds({ method, url, headers, body }) {
    const [, parameters] = /^sig1=(.*)$/.exec(headers["signature-input"]);
    const components = [.../^\(([^)]*)\)/.exec(parameters)[1].matchAll(/"([^"]+)"/g)].map(([, name]) => name);
    const wanted = ["@method", "@scheme", "@authority", "@path", "@query"];
    if (headers["content-type"]) wanted.push("content-type");
    if (body.length > 0) wanted.push("content-digest");
    assert.deepEqual(components, wanted);
    if (body.length > 0) assert.equal(headers["content-digest"], await contentDigest(Uint8Array.from(body)));
    const head = { method, url: new URL(url, `http://${headers.host}`), headers: new Headers(headers) };
    const base = new TextEncoder().encode(signatureBase(components, parameters, head));
    const signature = await (await hmacSigner("shared", secret)).sign(base);
    assert.equal(headers.signature, `sig1=:${Buffer.from(signature).toString("base64")}:`);
  }

  test("signs what arrives, whatever the body is", async () => {
    const form = new FormData();
    form.set("file", new Blob(["grüße"]), "a.txt");
    const bodies = ["text", new Uint8Array([0, 255]), new URLSearchParams({ a: "b" }), form, new Blob(["x"], { type: "image/png" })];
    for (const body of bodies) {
      await api("/orders?page=2", { method: "POST", body });
      await holds(received.at(-1));
      assert.ok(received.at(-1).body.length > 0);
    }
    for (const path of ["/", "/a?", "/a?b=%20c&d='", "/a%2fb//c", "/ä ö#part"]) {
      await api(path);
      await holds(received.at(-1));
    }
    await api(new Request(`${origin}/r`, { method: "PUT", body: "a Request", headers: { "X-Own": "1" } }));
    await holds(received.at(-1));
    assert.deepEqual([received.at(-1).headers["x-own"], received.at(-1).body.toString()], ["1", "a Request"]);
  });

  test("signs for one origin, and follows nobody elsewhere", async () => {
    const before = received.length;
    await assert.rejects(api("https://eve.example/orders"), TypeError);
    await assert.rejects(api(origin.replace("127.0.0.1", "localhost")), TypeError);
    assert.equal(received.length, before);
    await assert.rejects(api("/away"), TypeError);
    assert.equal(received.length, before + 1);
  });

  test("can be given up", async () => {
    await assert.rejects(api("/", { signal: AbortSignal.abort() }), { name: "AbortError" });
  });
});
