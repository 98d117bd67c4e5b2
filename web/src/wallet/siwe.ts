/** Sign-In with Ethereum (EIP-4361) for tokens: a signed message buys them, with no login page. */

import { Prover, sendProved } from "../dpop/prover.js";
import { base64url, hex, utf8 } from "../encoding.js";
import { CountersignError, unexpected } from "../error.js";
import { originOf, outgoing, type Fetch } from "../outgoing.js";
import type { Wallet } from "./wallet.js";

/** The fields of a message, of which the other side checks each. */
export interface SiweFields {
  /** Host and port of who asks. */
  domain: string;
  /** In the mixed case of EIP-55. */
  address: string;
  /** One line of ASCII for the wallet's owner to read. */
  statement?: string;
  uri: string;
  chainId: number;
  nonce: string;
  /** RFC 3339. */
  issuedAt: string;
  expirationTime?: string;
  resources?: readonly string[];
}

/** The message that a wallet shows and signs. */
export function siweMessage(fields: SiweFields): string {
  const { resources = [] } = fields;
  const lines = [
    `${fields.domain} wants you to sign in with your Ethereum account:`,
    fields.address,
    "",
    ...(fields.statement === undefined ? [] : [fields.statement]),
    "",
    `URI: ${fields.uri}`,
    "Version: 1",
    `Chain ID: ${fields.chainId}`,
    `Nonce: ${fields.nonce}`,
    `Issued At: ${fields.issuedAt}`,
    ...(fields.expirationTime === undefined ? [] : [`Expiration Time: ${fields.expirationTime}`]),
    ...(resources.length > 0 ? ["Resources:", ...resources.map((resource) => `- ${resource}`)] : []),
  ];
  // A line break within a field would add fields that nobody asked for.
  if (lines.some((line) => /[\r\n]/.test(line))) throw new TypeError("no field has a line break");
  return lines.join("\n");
}

/** Both as one text: the assertion that the token endpoint takes. */
export const siweAssertion = (message: string, signature: Uint8Array): string =>
  base64url(utf8(JSON.stringify({ message, signature: `0x${hex(signature)}` })));

export interface Tokens {
  accessToken: string;
  idToken?: string;
  refreshToken?: string;
  /** Seconds from now. */
  expiresIn?: number;
  scope?: string;
  /** Holds the key that the tokens are bound to: for `tokenFetch` and `refreshTokens`. */
  prover: Prover;
}

export interface TokenOptions {
  /** The issuer's origin, which is the API's own. */
  origin: string;
  /** Holds the key to bind the tokens to; a new one unless given. */
  prover?: Prover;
  scope?: string;
  fetch?: Fetch;
  /** Milliseconds since 1970. */
  now?: () => number;
}

export interface SiweOptions extends TokenOptions {
  wallet: Wallet;
  /** One line of ASCII for the wallet's owner to read. */
  statement?: string;
  /** The number of a chain; 1, the main network, unless given. */
  chainId?: number;
  /** How long the signed message counts, in seconds: 5 minutes, for the owner has to read it. */
  life?: number;
}

async function post(
  { origin, fetch }: TokenOptions,
  path: string,
  form: Record<string, string>,
  prover?: Prover,
): Promise<Record<string, unknown>> {
  const send = fetch ?? globalThis.fetch.bind(globalThis);
  const body = new URLSearchParams(form);
  const request = outgoing(originOf(origin), send, "omit", path, { method: "POST", body });
  const response = await sendProved(request, request.headers, prover);
  if (!response.ok) throw await unexpected(response);
  return (await response.json()) as Record<string, unknown>;
}

async function tokens(options: TokenOptions, form: Record<string, string>, prover: Prover): Promise<Tokens> {
  const scope = options.scope === undefined ? {} : { scope: options.scope };
  const answer = await post(options, "/oauth/token", { ...form, ...scope }, prover);
  const { access_token, token_type, id_token, refresh_token, expires_in, scope: granted } = answer;
  // A bearer token would be worth stealing, which is what the proof was for (RFC 9449 §5).
  if (typeof access_token !== "string" || String(token_type).toLowerCase() !== "dpop") {
    throw new CountersignError(200, "unexpected_answer", "no token that is bound to the key");
  }
  return {
    accessToken: access_token,
    ...(typeof id_token === "string" ? { idToken: id_token } : {}),
    ...(typeof refresh_token === "string" ? { refreshToken: refresh_token } : {}),
    ...(typeof expires_in === "number" ? { expiresIn: expires_in } : {}),
    ...(typeof granted === "string" ? { scope: granted } : {}),
    prover,
  };
}

/** Signs in with a wallet. The message names the key that the tokens are for, so it is worth nothing alone. */
export async function siwe(options: SiweOptions): Promise<Tokens> {
  const { wallet, statement, chainId = 1, life = 300, now = Date.now } = options;
  const origin = originOf(options.origin);
  const prover = options.prover ?? (await Prover.generate(now));
  const { nonce } = await post(options, "/oauth/nonce", {});
  if (typeof nonce !== "string" || !/^[\dA-Za-z]{8,}$/.test(nonce)) {
    throw new CountersignError(200, "unexpected_answer", "no nonce");
  }
  const issued = now();
  const message = siweMessage({
    domain: new URL(origin).host,
    address: wallet.address,
    ...(statement === undefined ? {} : { statement }),
    uri: origin,
    chainId,
    nonce,
    issuedAt: new Date(issued).toISOString(),
    expirationTime: new Date(issued + life * 1000).toISOString(),
    // RFC 9278: a name for a key by its thumbprint.
    resources: [`urn:ietf:params:oauth:jwk-thumbprint:sha-256:${await prover.thumbprint()}`],
  });
  const assertion = siweAssertion(message, await wallet.sign(utf8(message)));
  return tokens(options, { grant_type: "urn:countersign:grant-type:siwe", assertion }, prover);
}

/** New tokens for a refresh token, which is spent; `prover` must be the one of the tokens it came with. */
export function refreshTokens(refreshToken: string, options: TokenOptions & { prover: Prover }): Promise<Tokens> {
  const form = { grant_type: "refresh_token", refresh_token: refreshToken };
  return tokens(options, form, options.prover);
}
