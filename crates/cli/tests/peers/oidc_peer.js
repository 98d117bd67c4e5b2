// An OpenID Connect provider that others wrote (oidc-provider), a client of it, and Eve, with jose.
//
//     oidc_peer.js    reads orders, one on a line, and answers each with one line of JSON; the first is
//                     { "do": "listen", "port": … }

const { createServer } = require("node:http");
const { join } = require("node:path");
const { createInterface } = require("node:readline");
const { pathToFileURL } = require("node:url");

// Standard output is for answers alone.
console.log = console.info = console.warn = () => {};

const RESOURCE = "https://orders.example";
const SECRET = "a secret that the provider and its client share";
const LIFE = 300;

const asked = [];
let jose, Provider, issuer, keys, callback, holder, eve;

async function signingKey() {
  const { privateKey } = await jose.generateKeyPair("ES256", { extractable: true });
  const jwk = await jose.exportJWK(privateKey);
  return { ...jwk, use: "sig", alg: "ES256", kid: await jose.calculateJwkThumbprint(jwk) };
}

// The first of its keys signs; the others are published.
function provide() {
  const client = {
    client_id: "shop",
    client_secret: SECRET,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: "ES256",
  };
  const server = {
    scope: "orders:read",
    audience: "orders",
    accessTokenFormat: "jwt",
    accessTokenTTL: LIFE,
    jwt: { sign: { alg: "ES256" } },
  };
  const resourceIndicators = {
    enabled: true,
    defaultResource: () => RESOURCE,
    useGrantedResource: () => true,
    getResourceServerInfo: () => server,
  };
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [client],
    scopes: ["orders:read"],
    ttl: { ClientCredentials: LIFE },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true },
      resourceIndicators,
    },
  });
  callback = provider.callback();
  return { keys: keys.map((key) => key.kid) };
}

async function listen({ port }) {
  const load = (file) => import(pathToFileURL(join(process.env.NODE_PATH, file)));
  jose = await load("jose/dist/webapi/index.js");
  ({ Provider } = await load("oidc-provider/lib/index.js"));
  issuer = `http://127.0.0.1:${port}`;
  keys = [await signingKey()];
  holder = await jose.generateKeyPair("ES256");
  eve = await jose.generateKeyPair("ES256");
  provide();
  const server = createServer((request, response) => {
    asked.push(request.url);
    callback(request, response);
  });
  await new Promise((listening) => server.listen(port, "127.0.0.1", listening));
  return { issuer };
}

// A proof of possession by the client's key.
async function prove({ method, url, token, nonce }) {
  const claims = { htm: method, htu: url, jti: crypto.randomUUID(), ...(nonce && { nonce }) };
  if (token) {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
    claims.ath = jose.base64url.encode(new Uint8Array(digest));
  }
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: await jose.exportJWK(holder.publicKey) };
  return { proof: await new jose.SignJWT(claims).setProtectedHeader(header).setIssuedAt().sign(holder.privateKey) };
}

async function token({ bound }) {
  const url = `${issuer}/token`;
  const headers = { Authorization: `Basic ${btoa(`shop:${encodeURIComponent(SECRET)}`)}` };
  if (bound) headers.DPoP = (await prove({ method: "POST", url })).proof;
  const body = new URLSearchParams({ grant_type: "client_credentials", scope: "orders:read", resource: RESOURCE });
  const response = await fetch(url, { method: "POST", headers, body });
  return response.json();
}

// Another key signs from now on; the one before stays published.
async function rotate() {
  keys = [await signingKey(), keys[0]];
  return provide();
}

// Only the key that signs is published.
async function retire() {
  keys = [keys[0]];
  return provide();
}

// Tokens with the claims of a good one, by somebody else.
async function forge({ good }) {
  const [claims, header] = [jose.decodeJwt(good), jose.decodeProtectedHeader(good)];
  const { d, ...published } = keys[0];
  const own = await jose.exportJWK(eve.publicKey);
  const by = (more, key = eve.privateKey) => new jose.SignJWT(claims).setProtectedHeader({ ...header, ...more }).sign(key);
  const unsigned = jose.base64url.encode(JSON.stringify({ ...header, alg: "none" }));
  return {
    none: new jose.UnsecuredJWT(claims).encode().replace(/^[^.]*/, unsigned),
    hmac: await by({ alg: "HS256" }, new TextEncoder().encode(JSON.stringify(published))),
    stranger: await by({}),
    jwk: await by({ jwk: own }),
    jku: await by({ jku: `${issuer}/eve`, kid: "eve" }),
    x5u: await by({ x5u: `${issuer}/eve` }),
    kid: await by({ kid: "../../../../dev/null" }),
    long: await by({ padding: "x".repeat(100_000) }),
  };
}

const does = { listen, prove, token, rotate, retire, forge, asked: () => ({ asked: asked.splice(0) }) };

async function main() {
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    process.stdout.write(`${JSON.stringify(await does[order.do](order))}\n`);
  }
  process.exit(0);
}

main();
