// Signs and verifies with packages that others wrote: http-message-signatures and ethers.
//
//     signing_peer.js    reads orders, one on a line, and answers each with one line of JSON; they are
//                        those of signing_peer.py

const { createHash, randomBytes } = require("node:crypto");
const { createInterface } = require("node:readline");
const { httpbis, createSigner, createVerifier } = require("http-message-signatures");
const { Wallet, getBytes } = require("ethers");

const PARAMETERS = ["created", "expires", "nonce", "keyid", "tag"];

function message(order) {
  const headers = { ...order.headers };
  if (order.body) {
    const digest = createHash("sha256").update(order.body).digest("base64");
    headers["Content-Digest"] ??= headers["content-digest"] ?? `sha-256=:${digest}:`;
    delete headers["content-digest"];
  }
  return { method: order.method, url: order.url, headers };
}

function config(order, name, tag, key, keyid) {
  const created = new Date();
  const expires = new Date(created.getTime() + 50_000);
  const paramValues = { created, expires, nonce: randomBytes(16).toString("base64url"), keyid, tag };
  return { key, name, fields: order.components, params: PARAMETERS, paramValues };
}

async function sign(order) {
  const key = createSigner(order.key, order.algorithm, order.keyid);
  const signed = await httpbis.signMessage(config(order, "theirs", "countersign", key, order.keyid), message(order));
  return signed.headers;
}

async function verify(order) {
  const verify = createVerifier(order.key, order.algorithm);
  const keyLookup = async () => ({ id: order.keyid, algs: [order.algorithm], verify });
  try {
    return { verified: (await httpbis.verifyMessage({ keyLookup }, message(order))) === true };
  } catch (error) {
    return { verified: false, why: String(error) };
  }
}

// The client of the protocol's first description, without a browser around it.
async function asymmetric(order) {
  const signer = new Wallet(order.key);
  const nonce = new Date().getTime();
  const token = {
    PublicKey: signer.address,
    Signature: await signer.signMessage(`${nonce}|${order.method}|${order.target}|${order.body}`),
    Timestamp: new Date().toISOString(),
    Nonce: nonce,
  };
  return { AsymmetricAuthentication: JSON.stringify(token) };
}

async function erc8128(order) {
  const wallet = new Wallet(order.key);
  const key = { sign: async (base) => Buffer.from(getBytes(await wallet.signMessage(base))) };
  const keyid = `eip155:1:${wallet.address.toLowerCase()}`;
  return (await httpbis.signMessage(config(order, "eth", "erc8128", key, keyid), message(order))).headers;
}

const does = { sign, verify, asymmetric, erc8128 };

async function main() {
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    console.log(JSON.stringify(await does[order.do](order)));
  }
}

main();
