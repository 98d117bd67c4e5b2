/** Proofs of possession (RFC 9449): that whoever sends a token holds the key it is bound to. */

import { base64url, utf8 } from "../encoding.js";
import type { Outgoing } from "../outgoing.js";
import { freshNonce, sha256, subtle } from "../webcrypto.js";
import { wantsNonce } from "../error.js";

const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;

/** A new P-256 key whose private half no script can read, not even ours: it can only be used. */
export const generateProofKey = async (): Promise<CryptoKeyPair> =>
  (await subtle()).generateKey(P256, false, ["sign", "verify"]);

const encoded = (value: unknown): string => base64url(utf8(JSON.stringify(value)));

/** Proves requests with one key, and remembers each server's nonce. */
export class Prover {
  readonly #key: CryptoKeyPair;
  readonly #now: () => number;
  readonly #nonces = new Map<string, string>();

  /** `now` gives milliseconds since 1970. */
  constructor(key: CryptoKeyPair, now: () => number = Date.now) {
    this.#key = key;
    this.#now = now;
  }

  static async generate(now?: () => number): Promise<Prover> {
    return new Prover(await generateProofKey(), now);
  }

  /** A proof for one request, and for the token that it carries (RFC 9449 §4.2). */
  async proof(method: string, url: URL, token?: string): Promise<string> {
    const nonce = this.#nonces.get(url.origin);
    const header = { typ: "dpop+jwt", alg: "ES256", jwk: await this.#publicKey() };
    const payload = {
      jti: await freshNonce(),
      htm: method,
      htu: url.origin + url.pathname,
      iat: Math.floor(this.#now() / 1000),
      ...(token === undefined ? {} : { ath: base64url(await sha256(utf8(token))) }),
      ...(nonce === undefined ? {} : { nonce }),
    };
    const signed = `${encoded(header)}.${encoded(payload)}`;
    const algorithm = { name: "ECDSA", hash: "SHA-256" };
    const signature = await (await subtle()).sign(algorithm, this.#key.privateKey, utf8(signed));
    return `${signed}.${base64url(new Uint8Array(signature))}`;
  }

  /** Keeps the nonce that an answer brought; whether it is another than before. */
  learn(url: URL, response: Response): boolean {
    const nonce = response.headers.get("DPoP-Nonce");
    if (!nonce || nonce === this.#nonces.get(url.origin)) return false;
    this.#nonces.set(url.origin, nonce);
    return true;
  }

  /** The key's name: its RFC 7638 thumbprint. */
  async thumbprint(): Promise<string> {
    const { crv, kty, x, y } = await this.#publicKey();
    // The members in the order of their names, which is what is hashed.
    return base64url(await sha256(utf8(JSON.stringify({ crv, kty, x, y }))));
  }

  async #publicKey(): Promise<JsonWebKey> {
    const { kty, crv, x, y } = await (await subtle()).exportKey("jwk", this.#key.publicKey);
    return { kty: kty!, crv: crv!, x: x!, y: y! };
  }
}

/**
 * Sends a request with a proof, and once more where the server answers that it wants its own nonce in it.
 * Without a prover it is sent as it is.
 */
export async function sendProved(
  request: Outgoing,
  headers: Headers,
  prover?: Prover,
  token?: string,
): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    if (prover) headers.set("DPoP", await prover.proof(request.method, request.url, token));
    const response = await request.send(headers);
    const another = prover?.learn(request.url, response);
    if (!another || attempt > 1 || request.once || !(await wantsNonce(response))) return response;
  }
}

