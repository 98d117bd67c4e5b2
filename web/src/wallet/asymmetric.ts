/** The header `AsymmetricAuthentication`. It does not cover the host: prefer ERC-8128 where both are taken. */

import { hex, utf8, type Bytes } from "../encoding.js";
import type { Fetch } from "../outgoing.js";
import { targetOf } from "../signature/base.js";
import { wholeFetch, type SignedFetchOptions } from "../signature/request.js";
import type { Wallet } from "./wallet.js";

/** What is signed: `{nonce}|{METHOD}|{path}{query}|{body}`. */
export function asymmetricMessage(nonce: number, method: string, url: URL, body: Bytes): Bytes {
  const { path, query } = targetOf(url);
  const head = [method, query === undefined ? path : `${path}?${query}`];
  // Nothing escapes the lines: one more would make this the message of another request as well.
  if (head.some((part) => part.includes("|"))) throw new TypeError("no part of the head may have a vertical line");
  return Uint8Array.from([...utf8(`${[nonce, ...head].join("|")}|`), ...body]);
}

/** The header's value. `nonce` is in milliseconds since 1970, and no two requests of an account share one. */
export async function asymmetricHeader(
  wallet: Wallet,
  request: { method: string; url: string | URL; body?: string | Uint8Array },
  nonce: number,
): Promise<string> {
  const { body = "" } = request;
  const bytes = typeof body === "string" ? utf8(body) : new Uint8Array(body);
  const signature = await wallet.sign(asymmetricMessage(nonce, request.method, new URL(request.url), bytes));
  return JSON.stringify({
    PublicKey: wallet.address,
    Signature: `0x${hex(signature)}`,
    Timestamp: new Date(nonce).toISOString(),
    Nonce: nonce,
  });
}

/** A `fetch` whose requests an account signs. */
export function asymmetricFetch(wallet: Wallet, options: SignedFetchOptions): Fetch {
  let last = 0;
  return wholeFetch(options, async ({ method, url, headers }, body, now) => {
    // Two requests within one millisecond are two requests.
    last = Math.max(now, last + 1);
    headers.set("AsymmetricAuthentication", await asymmetricHeader(wallet, { method, url, body }, last));
  });
}
