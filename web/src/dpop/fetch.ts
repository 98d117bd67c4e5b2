/** OAuth access tokens that are bound to a key: `Authorization: DPoP` and a proof (RFC 9449 §7.1). */

import { originOf, outgoing, type Fetch } from "../outgoing.js";
import { sendProved, type Prover } from "./prover.js";

export interface TokenFetchOptions {
  /** The API that the token is for; nobody else gets it. */
  origin: string;
  /** The access token, or what gives the current one. */
  token: string | (() => string | Promise<string>);
  /** Holds the key that the token is bound to. */
  prover: Prover;
  fetch?: Fetch;
}

/** A `fetch` that sends an access token and a proof with each request. */
export function tokenFetch(options: TokenFetchOptions): Fetch {
  const origin = originOf(options.origin);
  const { token, prover } = options;
  return async (input, init) => {
    const send = options.fetch ?? globalThis.fetch.bind(globalThis);
    const request = outgoing(origin, send, "same-origin", input, init);
    const current = typeof token === "string" ? token : await token();
    const headers = new Headers(request.headers);
    headers.set("Authorization", `DPoP ${current}`);
    return sendProved(request, headers, prover, current);
  };
}
