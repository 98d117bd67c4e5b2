/** Keys that sign requests: Ed25519, P-256 and shared secrets, in WebCrypto's keeping. */

import { fromBase64, type Bytes } from "../encoding.js";
import { subtle } from "../webcrypto.js";
import type { RequestSigner } from "./request.js";

/** A private key: PKCS #8 as PEM or bytes, a JWK, or one that WebCrypto already holds. */
export type PrivateKey = string | Uint8Array | JsonWebKey | CryptoKey;

const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;

/** The bytes of a PEM file of the label `PRIVATE KEY`. */
function fromPem(text: string): Bytes {
  const body = /-----BEGIN PRIVATE KEY-----([A-Za-z\d+/=\s]+)-----END PRIVATE KEY-----/.exec(text)?.[1];
  if (!body) throw new TypeError("not a PKCS #8 private key in PEM: openssl pkcs8 -topk8 -nocrypt makes one");
  return fromBase64(body.replace(/\s/g, ""));
}

async function importKey(key: PrivateKey, algorithm: { name: string; namedCurve?: string }): Promise<CryptoKey> {
  if (typeof key === "object" && "usages" in key) return key;
  const crypto = await subtle();
  if (typeof key === "object" && !(key instanceof Uint8Array)) {
    // Only what makes the key: other members say whom it is for, and WebCrypto is strict about them.
    const { kty, crv, x, y, d } = key;
    const jwk = Object.fromEntries(Object.entries({ kty, crv, x, y, d }).filter(([, value]) => value));
    return crypto.importKey("jwk", jwk as JsonWebKey, algorithm, false, ["sign"]);
  }
  const bytes = typeof key === "string" ? fromPem(key) : new Uint8Array(key);
  return crypto.importKey("pkcs8", bytes, algorithm, false, ["sign"]);
}

/** Signs with a key that WebCrypto holds, and that the verifier knows as `keyId`. */
function registered(keyId: string, key: CryptoKey, algorithm: AlgorithmIdentifier | EcdsaParams): RequestSigner {
  if (!/^[!#-[\]-~]+$/.test(keyId)) throw new TypeError("a key's id is visible ASCII without quotes");
  return {
    parameters: (nonce) => `;nonce="${nonce}";keyid="${keyId}";tag="countersign"`,
    sign: async (base) => new Uint8Array(await (await subtle()).sign(algorithm, key, base)),
  };
}

/** Signs with an Ed25519 key. */
export const ed25519Signer = async (keyId: string, key: PrivateKey): Promise<RequestSigner> =>
  registered(keyId, await importKey(key, { name: "Ed25519" }), { name: "Ed25519" });

/** Signs with an ECDSA key on P-256 (`ecdsa-p256-sha256`). */
export const p256Signer = async (keyId: string, key: PrivateKey): Promise<RequestSigner> =>
  registered(keyId, await importKey(key, P256), { name: "ECDSA", hash: "SHA-256" });

/** Signs with a secret that both sides know (`hmac-sha256`). */
export async function hmacSigner(keyId: string, secret: Uint8Array): Promise<RequestSigner> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await (await subtle()).importKey("raw", new Uint8Array(secret), algorithm, false, ["sign"]);
  return registered(keyId, key, "HMAC");
}
