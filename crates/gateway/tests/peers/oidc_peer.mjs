// An OpenID Connect provider that others wrote (oidc-provider), and a client with jose, which also makes
// tokens that nobody should take.
//
//     oidc_peer.mjs PORT    reads orders, one on a line, and answers each with one line of JSON

import { createServer } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// Standard output is for answers alone.
console.log = console.info = console.warn;
const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const load = (file) => import(pathToFileURL(join(process.env.NODE_PATH, file)));
const { Provider } = await load("oidc-provider/lib/index.js");
const jose = await load("jose/dist/webapi/index.js");

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const resource = "https://orders.example";
const secret = "a secret that the provider and its client share";

const signingKey = async () => {
  const { privateKey } = await jose.generateKeyPair("ES256", { extractable: true });
  const jwk = await jose.exportJWK(privateKey);
  return { ...jwk, use: "sig", alg: "ES256", kid: await jose.calculateJwkThumbprint(jwk) };
};

// The first one signs; the others are published.
let keys = [await signingKey()];
let callback;

function provide() {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: "shop",
        client_secret: secret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: "ES256",
      },
    ],
    scopes: ["orders:read"],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: "orders:read",
          audience: "orders",
          accessTokenFormat: "jwt",
          accessTokenTTL: 300,
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
  });
  callback = provider.callback();
}

const holder = await jose.generateKeyPair("ES256");
const eve = await jose.generateKeyPair("ES256", { extractable: true });

async function prove({ method, url, token, nonce }) {
  const hash = async (text) => jose.base64url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))));
  const claims = { htm: method, htu: url, jti: crypto.randomUUID(), ...(nonce && { nonce }), ...(token && { ath: await hash(token) }) };
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: await jose.exportJWK(holder.publicKey) };
  return { proof: await new jose.SignJWT(claims).setProtectedHeader(header).setIssuedAt().sign(holder.privateKey) };
}

async function token({ bound }) {
  const url = `${issuer}/token`;
  const headers = { Authorization: `Basic ${btoa(`shop:${encodeURIComponent(secret)}`)}` };
  if (bound) headers.DPoP = (await prove({ method: "POST", url })).proof;
  const body = new URLSearchParams({ grant_type: "client_credentials", scope: "orders:read", resource });
  const response = await fetch(url, { method: "POST", headers, body });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return { error: text };
  }
}

// A key that signs from now on; the one before stays published, those before that do not.
async function rotate() {
  keys = [await signingKey(), keys[0]];
  provide();
  return { keys: keys.map((key) => key.kid) };
}

async function retire() {
  keys = [keys[0]];
  provide();
  return { keys: keys.map((key) => key.kid) };
}

// Tokens with the claims of a good one.
async function forge({ good }) {
  const claims = jose.decodeJwt(good);
  const header = jose.decodeProtectedHeader(good);
  const { d, ...published } = keys[0];
  const own = await jose.exportJWK(eve.publicKey);
  const by = (more, key = eve.privateKey) => new jose.SignJWT(claims).setProtectedHeader({ ...header, ...more }).sign(key);
  const text = new TextEncoder().encode(JSON.stringify(published));
  return {
    none: new jose.UnsecuredJWT(claims).encode().replace(/^[^.]*/, jose.base64url.encode(JSON.stringify({ ...header, alg: "none" }))),
    hmac: await by({ alg: "HS256" }, text),
    stranger: await by({}),
    jwk: await by({ jwk: own }),
    jku: await by({ jku: `${issuer}/eve`, kid: "eve" }),
    x5u: await by({ x5u: `${issuer}/eve` }),
    kid: await by({ kid: "../../../../dev/null" }),
    long: await by({ padding: "x".repeat(100_000) }),
  };
}

const asked = [];
provide();
createServer((request, response) => {
  asked.push(request.url);
  callback(request, response);
}).listen(port, "127.0.0.1", () => answer({ issuer }));

const does = { prove, token, rotate, retire, forge, asked: async () => ({ asked: asked.splice(0) }) };
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  answer(await does[order.do](order));
}
process.exit(0);
