/** `@countersign/client` for browsers: sessions in two halves, proofs of possession, and wallets. */

export { createClient } from "./session/client.js";
export type { Client, ClientOptions, SessionInfo, User } from "./session/client.js";
export type { HalfStorage, Reason, SessionState, StorageEvents } from "./session/half.js";
export type { KeyStore } from "./session/keys.js";
export type { HandshakeUse } from "./session/send.js";
export { CountersignError } from "./error.js";
export type { Fetch } from "./outgoing.js";

export { generateProofKey, Prover } from "./dpop/prover.js";
export { tokenFetch } from "./dpop/fetch.js";
export type { TokenFetchOptions } from "./dpop/fetch.js";

export { checksummed, Wallet } from "./wallet/wallet.js";
export type { Provider } from "./wallet/wallet.js";
export { asymmetricFetch, asymmetricHeader } from "./wallet/asymmetric.js";
export { walletSigner } from "./wallet/erc8128.js";
export type { WalletForm } from "./wallet/erc8128.js";
export { refreshTokens, siwe } from "./wallet/siwe.js";
export type { SiweOptions, TokenOptions, Tokens } from "./wallet/siwe.js";

export { signedFetch, signRequest } from "./signature/request.js";
export type { Moment, RequestParts, RequestSigner, SignedFetchOptions } from "./signature/request.js";
