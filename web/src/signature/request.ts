/** Signs requests so that Countersign takes them, and whoever else follows its profile of RFC 9421. */

import { base64, type Bytes, utf8 } from "../encoding.js";
import { originOf, outgoing, type Fetch } from "../outgoing.js";
import { freshNonce, sha256 } from "../webcrypto.js";
import { coverFloor, signatureBase, type Head } from "./base.js";

/** Who signs, and what the parameters say of it beside times and nonce. */
export interface RequestSigner {
  /** `;nonce="…";keyid="…"` and so on, in the order in which the scheme writes them. */
  parameters(nonce: string): string;
  /** What is covered, unless it is what Countersign's own profile asks. */
  covers?(head: Head): string[];
  sign(base: Bytes): Promise<Bytes>;
}

/** A request's parts, for whoever sends it in another way than by `fetch`. */
export interface RequestParts {
  method: string;
  url: string | URL;
  /** Its own headers; `Content-Type` is signed if it is there. */
  headers?: HeadersInit;
  /** The bytes that will be sent. */
  body?: string | Uint8Array;
}

export interface Moment {
  /** Milliseconds since 1970. */
  now?: number;
  /** 1 to 128 characters that no other request of this key ever has. */
  nonce?: string;
}

/** How long a signature counts, in seconds: the longest that Countersign takes. */
const LIFE = 60;

/** The value of `Content-Digest` for a body (RFC 9530 §2). */
export const contentDigest = async (body: Bytes): Promise<string> => `sha-256=:${base64(await sha256(body))}:`;

/** Adds `Content-Digest`, where there is a body, `Signature-Input` and `Signature`. */
export async function signHead(signer: RequestSigner, head: Head, body: Bytes, at: Moment = {}): Promise<void> {
  const { headers } = head;
  if (headers.has("Signature-Input")) throw new TypeError("the request is signed already");
  if (body.length > 0) headers.set("Content-Digest", await contentDigest(body));
  const components = signer.covers?.(head) ?? coverFloor(headers);
  const created = Math.floor((at.now ?? Date.now()) / 1000);
  const names = components.map((name) => `"${name}"`).join(" ");
  const nonce = at.nonce ?? (await freshNonce());
  const parameters = `(${names});created=${created};expires=${created + LIFE}${signer.parameters(nonce)}`;
  const signature = await signer.sign(utf8(signatureBase(components, parameters, head)));
  headers.set("Signature-Input", `sig1=${parameters}`);
  headers.set("Signature", `sig1=:${base64(signature)}:`);
}

/** The headers of a request with its signature: what was given, and what signing added. */
export async function signRequest(signer: RequestSigner, request: RequestParts, at?: Moment): Promise<Headers> {
  const { body = "" } = request;
  const headers = new Headers(request.headers);
  const head = { method: request.method, url: new URL(request.url), headers };
  const bytes = typeof body === "string" ? utf8(body) : new Uint8Array(body);
  await signHead(signer, head, bytes, at);
  return headers;
}

export interface SignedFetchOptions {
  /** The API; requests elsewhere are refused. */
  origin: string;
  fetch?: Fetch;
  /** Milliseconds since 1970. */
  now?: () => number;
}

/** A `fetch` that signs each request with all of its body, which it therefore holds in memory. */
export function signedFetch(signer: RequestSigner, options: SignedFetchOptions): Fetch {
  return wholeFetch(options, (head, body, now) => signHead(signer, head, body, { now }));
}

/** A `fetch` whose requests are proven by headers that `prove` adds, and that depend on the whole body. */
export function wholeFetch(
  options: SignedFetchOptions,
  prove: (head: Head, body: Bytes, now: number) => Promise<void>,
): Fetch {
  const origin = originOf(options.origin);
  return async (input, init) => {
    const send = options.fetch ?? globalThis.fetch.bind(globalThis);
    const request = outgoing(origin, send, "same-origin", input, init);
    const { body, send: sendWhole } = await request.whole();
    const headers = new Headers(request.headers);
    await prove({ method: request.method, url: request.url, headers }, body, (options.now ?? Date.now)());
    return sendWhole(headers);
  };
}
