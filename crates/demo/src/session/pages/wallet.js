// Requests that a wallet signs: no password, no session.

import { asymmetricFetch, signedFetch, Wallet, walletSigner } from "/countersign.min.js";

const at = (id) => document.getElementById(id);

const WAYS = {
  "wallet-signature": (wallet, origin) => signedFetch(walletSigner(wallet), { origin }),
  "wallet-asymmetric": (wallet, origin) => asymmetricFetch(wallet, { origin }),
};

async function hello(name) {
  const told = at("wallet-result");
  told.textContent = "Your wallet asks you.";
  try {
    const { origin } = location;
    const wallet = await Wallet.connect(window.ethereum);
    const answer = await WAYS[name](wallet, origin)(`/wallet/hello?attempt=${name}`);
    const { subject, scheme } = await answer.json();
    told.textContent = `The bank was told: ${subject}, proven by ${scheme}.`;
  } catch (error) {
    told.textContent = error.message;
  }
  told.scrollIntoView({ block: "nearest" });
}

/** Offers what this browser can do. */
export function offerWallet() {
  const there = Boolean(window.ethereum);
  at("wallet-told").textContent = there
    ? "This browser has a wallet. Each request is signed by it, and the bank's gateway knows who you are from that alone."
    : "This browser has no wallet. With one (any provider at window.ethereum) you could sign requests here, and need no account.";
  at("wallet-ways").hidden = !there;
  for (const name of Object.keys(WAYS)) at(name).addEventListener("click", () => hello(name));
}
