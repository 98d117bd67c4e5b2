/** What the other side refused, and why. */

/**
 * A request that Countersign refused. Nothing of the request is in it, so that it can be shown and logged.
 * `docs/reference/codes` has a page for each code.
 */
export class CountersignError extends Error {
  override readonly name = "CountersignError";

  constructor(
    /** The HTTP status. */
    readonly status: number,
    /** The stable code, such as `proof_mismatch`; `unexpected_answer` where the answer has none. */
    readonly code: string,
    /** What to do about it. */
    readonly detail?: string,
    /** The decision's id, which its operator can look up. */
    readonly decision?: string,
    /** Seconds to wait before another try. */
    readonly retryAfter?: number,
  ) {
    super(detail ? `${code}: ${detail}` : code);
  }
}

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

function errorOf(response: Response, code: string, detail?: unknown, decision?: unknown): CountersignError {
  const after = Number(response.headers.get("Retry-After") ?? NaN);
  return new CountersignError(
    response.status,
    code,
    text(detail),
    text(decision),
    Number.isFinite(after) ? after : undefined,
  );
}

async function members(response: Response): Promise<Record<string, unknown>> {
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => null);
  return body && typeof body === "object" ? (body as Record<string, unknown>) : {};
}

/**
 * The denial that a response is (RFC 9457), if it is one of Countersign's. An application's own problem
 * documents have no decision, and are the caller's to read; the response can still be read.
 */
export async function denialIn(response: Response): Promise<CountersignError | undefined> {
  const type = response.headers.get("Content-Type") ?? "";
  if (response.status < 400 || !/^application\/problem\+json\b/i.test(type)) return undefined;
  const { code, detail, decision } = await members(response);
  return text(code) && text(decision) ? errorOf(response, code as string, detail, decision) : undefined;
}

/** The error of an answer that is not what was asked for: a denial, one of RFC 6749 §5.2, or anything. */
export async function unexpected(response: Response): Promise<CountersignError> {
  const { code, detail, decision, error, error_description } = await members(response);
  const name = text(code) ?? text(error);
  return name
    ? errorOf(response, name, detail ?? error_description, decision)
    : errorOf(response, "unexpected_answer", `the answer has the status ${response.status}`);
}

/** Whether the server wants a proof with its own nonce (RFC 9449 §8, §9), or finds that nonce too old. */
export async function wantsNonce(response: Response): Promise<boolean> {
  if (response.status !== 400 && response.status !== 401) return false;
  const { code, error } = await members(response);
  return (
    code === "dpop_invalid" ||
    error === "use_dpop_nonce" ||
    /\buse_dpop_nonce\b/.test(response.headers.get("WWW-Authenticate") ?? "")
  );
}
