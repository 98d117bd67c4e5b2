// Sends one signed request, for tests that bring their own server:
//
//     node test/sign-request.mjs KIND KEY_FILE KEY_ID METHOD URL [BODY [CONTENT_TYPE]]
//
// KIND is api-key, ed25519, p256, hmac, erc8128, erc8128-untagged or asymmetric. The file holds what the kind
// signs with: the key as cs_…, a private key as PEM, the secret's bytes, or a wallet's key in hexadecimal
// digits. KEY_ID is the chain for ERC-8128, and `-` where the kind needs none. Prints the status and the
// answer's body.

import { readFileSync } from "node:fs";
import { asymmetricFetch, Wallet, walletSigner } from "../dist/index.js";
import { apiKeySigner, ed25519Signer, hmacSigner, p256Signer, signedFetch } from "../dist/sign.js";
import { provider } from "./support/provider.mjs";

const [kind, file, id, method, url, body, type] = process.argv.slice(2);
const text = () => readFileSync(file, "utf8").trim();
const options = { origin: new URL(url).origin };

async function prove() {
  switch (kind) {
    case "api-key":
      return signedFetch(await apiKeySigner(text()), options);
    case "ed25519":
      return signedFetch(await ed25519Signer(id, text()), options);
    case "p256":
      return signedFetch(await p256Signer(id, text()), options);
    case "hmac":
      return signedFetch(await hmacSigner(id, readFileSync(file)), options);
    case "erc8128":
    case "erc8128-untagged":
      return signedFetch(walletSigner(await Wallet.connect(provider(text())), Number(id), kind), options);
    case "asymmetric":
      return asymmetricFetch(await Wallet.connect(provider(text())), options);
    default:
      throw new TypeError(`no kind of key is called ${kind}`);
  }
}

const headers = type ? { "Content-Type": type } : {};
const answer = await (await prove())(url, { method, headers, ...(body ? { body } : {}) });
console.log(`${answer.status}\n${await answer.text()}`);
process.exitCode = answer.ok ? 0 : 1;
