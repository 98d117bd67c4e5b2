// Whole requests of every scheme: read, verified by the keys that their files name, and made alike by this client.

import assert from "node:assert/strict";
import { constants, createHash, createHmac, createPublicKey, verify } from "node:crypto";
import { describe, test } from "node:test";
import { asymmetricHeader } from "../dist/wallet/asymmetric.js";
import { Wallet, walletSigner } from "../dist/index.js";
import { apiKeySigner, ed25519Signer, hmacSigner, p256Signer, signRequest } from "../dist/sign.js";
import { signatureBase } from "../dist/signature/base.js";
import { readProof } from "./support/jwt.mjs";
import { provider } from "./support/provider.mjs";
import { vectors } from "./support/vectors.mjs";

const SCHEMES = ["api_key", "asymmetric", "bearer", "callback_url", "session", "signature", "webhook"];
const files = Object.fromEntries(SCHEMES.map((scheme) => [scheme, vectors(`requests/${scheme}`)]));

function read(text, origin) {
  const [head, body, ...more] = text.split("\r\n\r\n");
  assert.deepEqual(more, []);
  const [first, ...lines] = head.split("\r\n");
  const [method, target] = /^(\S+) (\/\S*) HTTP\/1\.1$/.exec(first).slice(1);
  const headers = new Headers(lines.map((line) => /^([\w-]+): (.*)$/.exec(line).slice(1)));
  assert.equal(Number(headers.get("content-length") ?? 0), body.length);
  return { method, url: new URL(origin + target), headers, body };
}

/** Every step of a scheme, with its request and what its receiver knows. */
function steps(scheme) {
  const { receiver, stories } = files[scheme];
  return stories.flatMap((story) =>
    story.steps.map((step) => {
      const known = { ...receiver, ...story.receiver };
      return { name: story.name, step, known, request: read(step.request, known.public_url) };
    }),
  );
}

const ieee = (jwk) => ({ key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" });

/** Whether a signature is that of a key as a file describes it. */
function holds({ jwk, hmac_secret: secret }, base, signature) {
  if (secret) return createHmac("sha256", Buffer.from(secret, "hex")).update(base).digest().equals(signature);
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 };
  switch (jwk.alg ?? jwk.crv) {
    case "Ed25519":
      return verify(null, base, ieee(jwk), signature);
    case "P-256":
      return verify("sha256", base, ieee(jwk), signature);
    case "P-384":
      return verify("sha384", base, ieee(jwk), signature);
    case "PS512":
      return verify("sha512", base, { ...ieee(jwk), ...pss }, signature);
    case "RS256":
      return verify("sha256", base, ieee(jwk), signature);
  }
}

/** The key that signed: registered, derived from an API key, or introduced. */
function keyOf(scheme, known, keyid) {
  if (scheme === "webhook") return { jwk: files.webhook.callers.alice.key };
  if (scheme === "signature") return known.keys.find(({ id }) => id === keyid);
  const { public: x } = vectors("api_key").keys.find(({ id }) => id === keyid);
  return { jwk: { kty: "OKP", crv: "Ed25519", x } };
}

describe("the requests", () => {
  test("of every scheme say what becomes of each, good and bad", () => {
    for (const scheme of SCHEMES) {
      const outcomes = steps(scheme).map(({ step }) => step.outcome);
      assert.ok(outcomes.some(({ subject }) => subject) && outcomes.some(({ code }) => code), scheme);
      assert.ok(outcomes.every(({ subject, status, code }) => (subject === undefined) === (status >= 400 && /^\w+$/.test(code))));
    }
  });

  for (const scheme of ["api_key", "signature", "webhook"]) {
    test(`of ${scheme} have the bases that are built here, and signatures of their keys`, () => {
      let verified = 0;
      for (const { name, step, known, request } of steps(scheme)) {
        const input = request.headers.get("signature-input")?.replace(/^[\w-]+=/, "");
        if (!step.base || !input) continue;
        const components = [.../^\(([^)]*)\)/.exec(input)[1].matchAll(/"([^"]+)"/g)].map(([, component]) => component);
        if (!name.includes("another host")) assert.equal(signatureBase(components, input, request), step.base, name);
        const keyid = /keyid="([^"]*)"/.exec(input)[1];
        if (step.outcome.code || /^(eip155|erc8128):/.test(keyid)) continue;
        const signature = Buffer.from(/=:([^:]*):$/.exec(request.headers.get("signature"))[1], "base64");
        assert.ok(holds(keyOf(scheme, known, keyid), Buffer.from(step.base), signature), name);
        verified += 1;
      }
      assert.ok(verified > 2);
    });
  }

  test("that pass have the digests of their bodies", () => {
    for (const { name, step, request } of SCHEMES.flatMap(steps).filter(({ step }) => step.outcome.subject)) {
      for (const [, bits, digest] of (request.headers.get("content-digest") ?? "").matchAll(/sha-(\d+)=:([^:]+):/g)) {
        assert.equal(createHash(`sha${bits}`).update(request.body).digest("base64"), digest, `${name} ${step.base}`);
      }
    }
  });

  test("are made alike: registered keys, HMAC, wallets and API keys", async () => {
    const jwk = (name) => vectors("keys").keys.find((key) => key.name === name).jwk;
    const wallet = await Wallet.connect(provider(files.signature.callers.wallet.ethereum_key));
    const signers = {
      ed25519: await ed25519Signer("ed25519key01", jwk("ed25519")),
      P256: await p256Signer("p256key00001", jwk("P256")),
      HMAC: await hmacSigner("hmackey00001", Buffer.from(files.signature.receiver.keys.at(-1).hmac_secret, "hex")),
      wallet: walletSigner(wallet),
      untagged: walletSigner(wallet, 1, "erc8128-untagged"),
      "signing, which passes once": await apiKeySigner(files.api_key.callers.keys[0]),
    };
    let made = 0;
    for (const { name, step, request } of [...steps("signature"), ...steps("api_key")]) {
      const signer = signers[/^a wallet/.test(name) ? (/without a tag/.test(name) ? "untagged" : "wallet") : name];
      if (!signer || step.outcome.code) continue;
      const { method, url, headers, body } = request;
      const [, created, nonce] = /created=(\d+);.*nonce="([^"]*)"/.exec(headers.get("signature-input"));
      const type = headers.get("content-type");
      const own = { method, url, body, headers: type ? { "Content-Type": type } : {} };
      const signed = await signRequest(signer, own, { now: created * 1000, nonce });
      const compared = ["content-digest", "signature-input", ...(name === "P256" ? [] : ["signature"])];
      for (const header of compared) assert.equal(signed.get(header), headers.get(header), `${name}: ${header}`);
      made += 1;
    }
    assert.equal(made, 13);
  });

  test("are made alike: AsymmetricAuthentication", async () => {
    const wallet = await Wallet.connect(provider(files.asymmetric.callers.ethereum_key));
    const sent = steps("asymmetric").filter(({ step, request }) => step.base && request.headers.has("asymmetricauthentication"));
    for (const { name, request } of sent) {
      const { Nonce: nonce, ...rest } = JSON.parse(request.headers.get("asymmetricauthentication"));
      const made = JSON.parse(await asymmetricHeader(wallet, request, nonce));
      assert.equal(made.Signature, rest.Signature, name);
      assert.equal(Date.parse(made.Timestamp), Date.parse(rest.Timestamp), name);
      assert.equal(made.PublicKey, rest.PublicKey, name);
    }
    assert.ok(sent.length > 8);
  });

  for (const scheme of ["bearer", "session"]) {
    test(`of ${scheme} carry proofs of the key that they are bound to`, () => {
      const { key, p256_key } = files[scheme].callers;
      const proven = steps(scheme).filter(({ step, request }) => step.outcome.subject && request.headers.has("dpop"));
      for (const { name, request } of proven) {
        const { header, payload } = readProof(request.headers.get("dpop"));
        assert.equal(header.jwk.x, (/P-256/.test(name) ? p256_key : key).x, name);
        const token = request.headers.get("authorization").split(" ")[1];
        assert.equal(payload.ath, createHash("sha256").update(token).digest("base64url"), name);
        assert.deepEqual([payload.htm, payload.htu], [request.method, request.url.origin + request.url.pathname], name);
      }
      assert.ok(proven.length >= 3);
    });
  }
});
