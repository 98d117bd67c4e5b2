/** Where WebCrypto is, and what all parts need of it. */

import { base64url, type Bytes } from "./encoding.js";

// A name in a variable, so that bundlers for browsers do not look for the module.
const NODE: string = "node:crypto";

/** The global one; before Node 19 there is none, and a module has it. */
export async function webcrypto(): Promise<Crypto> {
  return globalThis.crypto ?? (await import(/* @vite-ignore */ /* webpackIgnore: true */ NODE)).webcrypto;
}

export const subtle = async (): Promise<SubtleCrypto> => (await webcrypto()).subtle;

export const sha256 = async (bytes: Bytes): Promise<Bytes> =>
  new Uint8Array(await (await subtle()).digest("SHA-256", bytes));

/** 128 random bits as 22 characters: nobody meets the same twice. */
export const freshNonce = async (): Promise<string> =>
  base64url((await webcrypto()).getRandomValues(new Uint8Array(16)));
