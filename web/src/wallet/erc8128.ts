/** Message signatures by wallets: ERC-8128, for accounts that a key controls. */

import type { RequestSigner } from "../signature/request.js";
import type { Wallet } from "./wallet.js";

/** Signs requests as an account on `chain`; 1 is the main network. For `signRequest` and `signedFetch`. */
export function walletSigner(wallet: Wallet, chain = 1): RequestSigner {
  const account = `eip155:${chain}:${wallet.address.toLowerCase()}`;
  return {
    parameters: (nonce) => `;nonce="${nonce}";keyid="${account}";tag="erc8128"`,
    sign: (base) => wallet.sign(base),
  };
}
