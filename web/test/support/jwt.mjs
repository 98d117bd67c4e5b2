// Reads and judges proofs of possession as a server does, with Node's own cryptography.

import assert from "node:assert/strict";
import { createHash, createPublicKey, verify } from "node:crypto";

const part = (text) => JSON.parse(Buffer.from(text, "base64url").toString());

export const sha256 = (text) => createHash("sha256").update(text).digest("base64url");

export const thumbprint = ({ crv, kty, x, y }) => sha256(JSON.stringify({ crv, kty, x, y }));

/** Header and payload of a proof whose signature holds. */
export function readProof(proof) {
  const [header, payload, signature, ...more] = proof.split(".");
  assert.equal(more.length, 0);
  const read = { header: part(header), payload: part(payload) };
  const { alg, jwk } = read.header;
  const key = { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" };
  const signed = Buffer.from(`${header}.${payload}`);
  assert.ok(verify(alg === "EdDSA" ? null : "sha256", signed, key, Buffer.from(signature, "base64url")), "the proof's signature");
  return read;
}
