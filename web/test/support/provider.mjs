// A wallet as a page meets it: a provider of EIP-1193 with one key, or with recorded signatures.

import { createHmac } from "node:crypto";
import { etc, sign, getPublicKey } from "@noble/secp256k1";
import { keccak256 } from "../../dist/wallet/keccak.js";

etc.hmacSha256Sync = (key, ...parts) => {
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return Uint8Array.from(hmac.digest());
};

const bytes = (hex) => Uint8Array.from(Buffer.from(hex.replace(/^0x/, ""), "hex"));

/** What EIP-191 hashes. */
export const personalHash = (message) =>
  keccak256(Buffer.concat([Buffer.from(`\x19Ethereum Signed Message:\n${message.length}`), message]));

/** `calls` is what was asked, in order. It gives addresses in lower case, as most providers do. */
export function provider(key, chain = 1) {
  const secret = bytes(key);
  const address = `0x${Buffer.from(keccak256(getPublicKey(secret, false).slice(1)).slice(12)).toString("hex")}`;
  const calls = [];
  return {
    address,
    calls,
    async request({ method, params }) {
      calls.push({ method, params });
      switch (method) {
        case "eth_requestAccounts":
          return [address];
        case "eth_chainId":
          return `0x${chain.toString(16)}`;
        case "personal_sign": {
          if (params[1].toLowerCase() !== address) throw new Error("not an account of this wallet");
          const signature = sign(personalHash(Buffer.from(bytes(params[0]))), secret);
          const recovery = (27 + signature.recovery).toString(16);
          return `0x${signature.toCompactHex()}${recovery}`;
        }
        default:
          throw new Error(`not asked of a wallet: ${method}`);
      }
    },
  };
}
