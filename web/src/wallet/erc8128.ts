/** Message signatures by wallets: ERC-8128, for accounts that a key controls. */

import { coverFloor, targetOf, type Head } from "../signature/base.js";
import type { RequestSigner } from "../signature/request.js";
import type { Wallet } from "./wallet.js";

/**
 * Which text of the draft is followed. `erc8128-untagged` is an earlier one, the only one that
 * `@slicekit/erc8128` 0.2 and the crate `erc8128` 0.3 verify.
 */
export type WalletForm = "erc8128" | "erc8128-untagged";

/** What the earlier text asks, and the libraries of that text can read: no scheme, and no query that is not there. */
function coverUntagged({ url, headers }: Head): string[] {
  const { query } = targetOf(url);
  const unknown = ["@scheme", ...(query === undefined ? ["@query"] : [])];
  return coverFloor(headers).filter((name) => !unknown.includes(name));
}

/** Signs requests as an account on `chain`; 1 is the main network. For `signRequest` and `signedFetch`. */
export function walletSigner(wallet: Wallet, chain = 1, form: WalletForm = "erc8128"): RequestSigner {
  const account = `${chain}:${wallet.address.toLowerCase()}`;
  const sign: RequestSigner["sign"] = (base) => wallet.sign(base);
  if (form === "erc8128-untagged") {
    return { parameters: (nonce) => `;nonce="${nonce}";keyid="erc8128:${account}"`, covers: coverUntagged, sign };
  }
  return { parameters: (nonce) => `;nonce="${nonce}";keyid="eip155:${account}";tag="erc8128"`, sign };
}
