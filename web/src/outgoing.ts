/** A request to one origin, and to no other: built anew for each attempt, and never redirected. */

export type Fetch = typeof fetch;

export interface Outgoing {
  readonly method: string;
  readonly url: URL;
  /** Its own headers; what proves it is put into a copy. */
  readonly headers: Headers;
  readonly signal: AbortSignal;
  /** Whether its body is a stream, which is gone after one attempt. */
  readonly once: boolean;
  send(headers: Headers): Promise<Response>;
  /** The whole body, for whoever signs it, and what sends exactly these bytes. */
  whole(): Promise<{ body: Uint8Array<ArrayBuffer>; send(headers: Headers): Promise<Response> }>;
}

/** The origin of a URL that is configured. */
export function originOf(url: string): string {
  const { origin, protocol } = new URL(url);
  if (!/^https?:$/.test(protocol)) throw new TypeError(`${url} has no origin of http or https`);
  return origin;
}

/**
 * A request as `fetch` takes it; a relative URL is relative to `origin`.
 *
 * Another origin is refused before anything is sent. A redirect is an error, for a browser would carry
 * our headers along to wherever it leads; `redirect: "manual"` shows it instead.
 */
export function outgoing(
  origin: string,
  fetch: Fetch,
  credentials: RequestCredentials,
  input: RequestInfo | URL,
  init: RequestInit = {},
): Outgoing {
  const given = typeof input === "object" && "url" in input ? input : undefined;
  const url = new URL(given ? given.url : String(input), origin);
  if (url.origin !== origin) throw new TypeError(`only ${origin} gets proofs, not ${url.origin}`);
  // Not every fetch sends the question mark of an empty query, so none is signed or sent.
  if (!url.search) url.search = "";
  const build = (): Request => new Request(given ? given.clone() : url, init);
  const first = build();
  const redirect = first.redirect === "manual" ? "manual" : "error";
  let next: Request | undefined = first;
  return {
    method: first.method,
    url,
    headers: first.headers,
    signal: first.signal,
    once: init.body instanceof ReadableStream,
    send(headers) {
      const request = next ?? build();
      next = undefined;
      // A form gets another boundary each time it is built.
      const type = request.headers.get("Content-Type");
      if (type !== null) headers.set("Content-Type", type);
      return fetch(request, { headers, credentials, redirect });
    },
    async whole() {
      const body = new Uint8Array(await first.arrayBuffer());
      const { method, signal, cache, mode, keepalive } = first;
      return {
        body,
        send: (headers) =>
          fetch(url, {
            ...{ method, signal, cache, keepalive, headers, credentials, redirect },
            // A Request says "navigate" where a service worker passes one on; nobody may send that.
            ...(mode === "navigate" ? {} : { mode }),
            ...(body.length > 0 ? { body } : {}),
          }),
      };
    },
  };
}
