// Signs and verifies with packages that others wrote: http-message-signatures, ethers and @slicekit/erc8128.
//
//     signing_peer.js    reads orders, one on a line, and answers each with one line of JSON; they are
//                        those of signing_peer.py, and two for the last of these packages

const { createHash, randomBytes } = require("node:crypto");
const { createInterface } = require("node:readline");
const { pathToFileURL } = require("node:url");
const { httpbis, createSigner, createVerifier } = require("http-message-signatures");
const { Wallet, getBytes, verifyMessage } = require("ethers");

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

// It is an ECMAScript module, which are not looked for in NODE_PATH.
const published = () => import(pathToFileURL(require.resolve("@slicekit/erc8128")));

function request({ method, url, headers, body }) {
  return new Request(url, { method, headers, ...(body ? { body } : {}) });
}

// As its README has it, with ethers in the place of viem.
async function published_sign(order) {
  const { createSignerClient } = await published();
  const wallet = new Wallet(order.key);
  const signMessage = (message) => wallet.signMessage(message);
  const client = createSignerClient({ chainId: order.chain, address: wallet.address, signMessage });
  const signed = await client.signRequest(request(order));
  const made = ["signature-input", "signature", "content-digest"].filter((name) => signed.headers.has(name));
  return Object.fromEntries(made.map((name) => [name, signed.headers.get(name)]));
}

async function published_verify(order) {
  const { createVerifierClient } = await published();
  const seen = new Set();
  const verifier = createVerifierClient({
    verifyMessage: async ({ address, message, signature }) =>
      verifyMessage(getBytes(message.raw), signature).toLowerCase() === address,
    nonceStore: { consume: async (key) => !seen.has(key) && Boolean(seen.add(key)) },
  });
  const { ok, reason, address, chainId } = await verifier.verifyRequest({ request: request(order) });
  return { verified: ok, why: reason, address, chain: chainId };
}

const does = { sign, verify, asymmetric, erc8128, published_sign, published_verify };

async function main() {
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    console.log(JSON.stringify(await does[order.do](order)));
  }
}

main();
