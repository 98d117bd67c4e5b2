/** `@countersign/client/sign`: signed requests (RFC 9421) with WebCrypto, in browsers and in Node. */

export { apiKeySigner } from "./signature/api_key.js";
export { ed25519Signer, hmacSigner, p256Signer } from "./signature/keys.js";
export type { PrivateKey } from "./signature/keys.js";
export { contentDigest, signedFetch, signRequest } from "./signature/request.js";
export type { Moment, RequestParts, RequestSigner, SignedFetchOptions } from "./signature/request.js";
