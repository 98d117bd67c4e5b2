/** What is signed: the signature base (RFC 9421 §2.5), a line for each component, and last the parameters. */

/** A request's head, as it is signed. */
export interface Head {
  method: string;
  url: URL;
  headers: Headers;
}

/** Path and query as they are sent: of an empty query, `url.search` drops the question mark. */
export function targetOf(url: URL): { path: string; query: string | undefined } {
  const [whole = ""] = url.href.slice(url.href.indexOf("/", url.protocol.length + 2)).split("#");
  const mark = whole.indexOf("?");
  return mark < 0 ? { path: whole, query: undefined } : { path: whole.slice(0, mark), query: whole.slice(mark + 1) };
}

function valueOf(name: string, { method, url, headers }: Head): string {
  const { path, query } = targetOf(url);
  switch (name) {
    case "@method":
      return method;
    case "@scheme":
      return url.protocol.slice(0, -1);
    case "@authority":
      return url.host;
    case "@path":
      return path;
    case "@query":
      return `?${query ?? ""}`;
    case "@target-uri":
      return url.href.split("#")[0]!;
    case "@request-target":
      return query === undefined ? path : `${path}?${query}`;
  }
  const value = headers.get(name);
  if (value === null) throw new TypeError(`${name} is to be signed and not there`);
  return value;
}

/**
 * The signature base of whole components: fields, and parts of a request without parameters.
 * `parameters` is the value of `@signature-params`, which lists the components again.
 */
export function signatureBase(components: readonly string[], parameters: string, head: Head): string {
  const lines = components.map((name) => `"${name}": ${valueOf(name, head)}`);
  return [...lines, `"@signature-params": ${parameters}`].join("\n");
}

/** What Countersign wants covered: all of the request's target, and of its body what is there. */
export function coverFloor(headers: Headers): string[] {
  const fields = ["content-type", "content-digest"].filter((name) => headers.has(name));
  return ["@method", "@scheme", "@authority", "@path", "@query", ...fields];
}
