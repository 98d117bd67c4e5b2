// Gets, uses and judges tokens with packages that others wrote: openid-client, jose and ethers.
//
// Reads orders, one JSON object on a line, and answers each with one line of JSON:
//   keys        "alg": {"public"}: makes this client's key (ES256), and says its public half as PEM
//   discover    "issuer", "client", "how", "alg": reads the discovery document ("oauth2" or "oidc"), and signs with this
//   wallet      "issuer", "key": is the wallet of that key from here on, and its own client
//   grant       "grant", "dpop", "scope": the token endpoint's answer, or {"error"}
//   sign_in     "scope", "dpop", "names_key": the same, by EIP-4361
//   refresh     "token", "dpop"
//   introspect, revoke   "token"
//   access, id  "token", "audience": its claims, verified by the keys that the issuer publishes
//   hammer      "seconds", "audience": gets and verifies tokens all the while; how many, by which keys
"use strict";

const { createInterface } = require("node:readline");
const { pathToFileURL } = require("node:url");
const { Wallet } = require("ethers");

const load = (name) => import(pathToFileURL(require.resolve(name)));
const state = {};
let oidc, jose;

const remember = (config) => {
  state.config = config;
  const { jwks_uri } = config.serverMetadata();
  state.keys = jose.createRemoteJWKSet(new URL(jwks_uri), { cooldownDuration: 500 });
  return config.serverMetadata();
};

async function keys({ alg }) {
  state.alg = alg ?? "ES256";
  const pair = await jose.generateKeyPair(state.alg, { extractable: true });
  state.pem = await jose.exportPKCS8(pair.privateKey);
  return { public: await jose.exportSPKI(pair.publicKey) };
}

async function discover({ issuer, client, how, alg }) {
  state.alg = alg ?? state.alg;
  state.key = await jose.importPKCS8(state.pem, state.alg);
  const authentication = oidc.PrivateKeyJwt(state.key);
  const options = { execute: [oidc.allowInsecureRequests], algorithm: how };
  state.client = client;
  return remember(await oidc.discovery(new URL(issuer), client, {}, authentication, options));
}

async function wallet({ issuer, key }) {
  state.wallet = new Wallet(key);
  const client = state.wallet.address.toLowerCase();
  const options = { execute: [oidc.allowInsecureRequests] };
  return remember(await oidc.discovery(new URL(issuer), client, {}, oidc.None(), options));
}

// One DPoP key for as long as this process lives.
async function dpop(wanted) {
  if (!wanted) return undefined;
  state.bound ??= await oidc.randomDPoPKeyPair("ES256", { extractable: true });
  return { DPoP: oidc.getDPoPHandle(state.config, state.bound) };
}

async function grant({ grant, dpop: wanted, scope }) {
  const parameters = scope ? { scope } : {};
  if (grant === "client_credentials") {
    return oidc.clientCredentialsGrant(state.config, parameters, await dpop(wanted));
  }
  const { issuer } = state.config.serverMetadata();
  const assertion = new jose.SignJWT().setProtectedHeader({ alg: state.alg }).setIssuer(state.client);
  assertion.setSubject(state.client).setAudience(issuer).setIssuedAt().setExpirationTime("1m");
  assertion.setJti(crypto.randomUUID());
  parameters.assertion = await assertion.sign(state.key);
  return oidc.genericGrantRequest(state.config, grant, parameters, await dpop(wanted));
}

async function message(names) {
  const { issuer, nonce_endpoint } = state.config.serverMetadata();
  const { nonce } = await (await fetch(nonce_endpoint, { method: "POST" })).json();
  const lines = [
    `${new URL(issuer).host} wants you to sign in with your Ethereum account:`,
    state.wallet.address,
    "",
    "Sign in to the orders.",
    "",
    `URI: ${issuer}`,
    "Version: 1",
    "Chain ID: 1",
    `Nonce: ${nonce}`,
    `Issued At: ${new Date().toISOString()}`,
  ];
  if (names) {
    const print = await jose.calculateJwkThumbprint(await jose.exportJWK(state.bound.publicKey));
    lines.push("Resources:", `- urn:ietf:params:oauth:jwk-thumbprint:sha-256:${print}`);
  }
  return lines.join("\n");
}

async function sign_in({ scope, dpop: wanted, names_key }) {
  const proof = await dpop(wanted);
  const text = await message(names_key);
  const assertion = JSON.stringify({ message: text, signature: await state.wallet.signMessage(text) });
  const parameters = { assertion: Buffer.from(assertion).toString("base64url") };
  if (scope) parameters.scope = scope;
  return oidc.genericGrantRequest(state.config, "urn:countersign:grant-type:siwe", parameters, proof);
}

const refresh = async ({ token, dpop: wanted }) =>
  oidc.refreshTokenGrant(state.config, token, {}, await dpop(wanted));
const introspect = ({ token }) => oidc.tokenIntrospection(state.config, token);
const revoke = async ({ token }) => ({ revoked: (await oidc.tokenRevocation(state.config, token)) === undefined });

async function verify(token, typ, audience) {
  const { issuer } = state.config.serverMetadata();
  const verified = await jose.jwtVerify(token, state.keys, { issuer, audience, typ, algorithms: ["ES256"] });
  return verified;
}
const access = async ({ token, audience }) => (await verify(token, "at+jwt", audience)).payload;
const id = async ({ token, audience }) => (await verify(token, "JWT", audience)).payload;

async function hammer({ seconds, audience }) {
  const until = Date.now() + seconds * 1000;
  const count = { requests: 0, failed: [], keys: [] };
  let first;
  while (Date.now() < until) {
    try {
      const { access_token } = await grant({ grant: "client_credentials" });
      first ??= access_token;
      const { protectedHeader } = await verify(access_token, "at+jwt", audience);
      await verify(first, "at+jwt", audience);
      if (!count.keys.includes(protectedHeader.kid)) count.keys.push(protectedHeader.kid);
      count.requests += 1;
    } catch (error) {
      count.failed.push(String(error));
    }
    await new Promise((done) => setTimeout(done, 20));
  }
  return count;
}

const does = { keys, discover, wallet, grant, sign_in, refresh, introspect, revoke, access, id, hammer };

async function main() {
  [oidc, jose] = [await load("openid-client"), await load("jose")];
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    let answer;
    try {
      answer = await does[order.do](order);
    } catch (error) {
      answer = { error: error.error ?? error.code ?? String(error), status: error.status, why: String(error) };
    }
    console.log(JSON.stringify(answer));
  }
}

main();
