/** API keys in signed form: the key `cs_<id>_<secret><check>` stays, and signs with a key of its own. */

import { utf8, type Bytes } from "../encoding.js";
import { subtle } from "../webcrypto.js";
import { ed25519Signer } from "./keys.js";
import type { RequestSigner } from "./request.js";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DERIVATION = "countersign/api-key/ed25519/1";
/** PKCS #8 of an Ed25519 key (RFC 8410 §7), up to its 32 bytes. */
const PKCS8 = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

const fromBase62 = (text: string): bigint =>
  [...text].reduce((number, digit) => number * 62n + BigInt(ALPHABET.indexOf(digit)), 0n);

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** A key's id and its 32 secret bytes. A mistyped key is noticed here; the error does not repeat it. */
export function readApiKey(key: string): { id: string; secret: Bytes } {
  const [, id, secret, check] = /^cs_([\dA-Za-z]{12})_([\dA-Za-z]{43})([\dA-Za-z]{6})$/.exec(key) ?? [];
  if (!id || !secret || !check) throw new TypeError("not of the form cs_<12 characters>_<49 characters>");
  if (fromBase62(check) !== BigInt(crc32(utf8(key.slice(0, -6))))) {
    throw new TypeError("the check characters do not fit the rest: mistyped or cut");
  }
  const digits = fromBase62(secret).toString(16).padStart(64, "0");
  if (digits.length > 64) throw new TypeError("not of the form cs_<12 characters>_<49 characters>");
  return { id, secret: Uint8Array.from(digits.match(/../g)!, (byte) => parseInt(byte, 16)) };
}

/** The seed of the Ed25519 key that a secret yields. */
export async function deriveSeed(secret: Bytes): Promise<Bytes> {
  const crypto = await subtle();
  const material = await crypto.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const salt = new Uint8Array();
  const hkdf = { name: "HKDF", hash: "SHA-256", salt, info: utf8(DERIVATION) };
  return new Uint8Array(await crypto.deriveBits(hkdf, material, 256));
}

/** Signs with an API key, which itself never travels. */
export async function apiKeySigner(key: string): Promise<RequestSigner> {
  const { id, secret } = readApiKey(key);
  const pkcs8 = Uint8Array.from([...PKCS8, ...(await deriveSeed(secret))]);
  return ed25519Signer(id, pkcs8);
}
