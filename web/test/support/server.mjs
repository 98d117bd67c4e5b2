// Plays the gateway's `/auth/*` and an API behind it, strictly, in this process.

import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";
import { readProof, sha256, thumbprint } from "./jwt.mjs";

const random = () => randomBytes(32).toString("base64url");
const SAFE = ["GET", "HEAD", "OPTIONS"];

class Denied extends Error {
  constructor(status, code, headers = {}) {
    super(code);
    Object.assign(this, { status, code, headers });
  }
}

/** One server, its users and sessions, and all that it was sent. */
export class Server {
  #http = createServer((request, response) => void this.#answer(request, response));
  users = new Map([["ann@example.com", { name: "Ann", password: "correct horse battery" }]]);
  /** By cookie: `{ half, email, handshakes, jkt }`. */
  sessions = new Map();
  requests = [];
  /** Whether sign-ins must prove a key; then the nonce that proofs must have. */
  keyBound = false;
  nonce = random();
  #seen = new Set();
  /** Answers to give instead, one for each coming request of a path. */
  instead = new Map();
  /** What the API waits for. */
  #held = Promise.resolve();

  async start() {
    this.#http.listen(0, "127.0.0.1");
    await once(this.#http, "listening");
    this.origin = `http://127.0.0.1:${this.#http.address().port}`;
    return this;
  }

  stop() {
    this.#http.closeAllConnections();
    this.#http.close();
  }

  /** What was asked for, such as `POST /auth/handshake`. */
  get asked() {
    return this.requests.map(({ method, path }) => `${method} ${path}`);
  }

  /** How often something was asked for. */
  count(what) {
    return this.asked.filter((asked) => asked === what).length;
  }

  /** Lets the API answer nothing until `release` is called. */
  hold() {
    const held = {};
    this.#held = new Promise((resolve) => (held.release = resolve));
    return held;
  }

  async #answer(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const path = request.url.split("?")[0];
    const seen = { method: request.method, path, url: request.url, headers: request.headers };
    seen.body = Buffer.concat(chunks).toString();
    this.requests.push(seen);
    try {
      const given = this.instead.get(path)?.shift();
      const { status = 200, headers = {}, body = "" } = given ?? (await this.#route(seen));
      const nonce = this.keyBound ? { "DPoP-Nonce": this.nonce } : {};
      response.writeHead(status, { ...nonce, ...headers }).end(body);
    } catch (error) {
      if (!(error instanceof Denied)) {
        response.writeHead(500).end(String(error));
        return;
      }
      const { status, code } = error;
      const body = { type: `urn:countersign:code:${code}`, status, code, detail: `about ${code}`, decision: "d-1" };
      const nonce = this.keyBound ? { "DPoP-Nonce": this.nonce } : {};
      const headers = { "Content-Type": "application/problem+json", ...nonce, ...error.headers };
      response.writeHead(status, headers).end(JSON.stringify(body));
    }
  }

  async #route(request) {
    const { method, path } = request;
    if (path === "/auth/signup") return this.#signUp(request);
    if (path === "/auth/signin") return this.#signIn(request);
    const id = /^\/auth\/sessions\/(.+)$/.exec(path)?.[1];
    if (path.startsWith("/auth/")) {
      const whole = ["/auth/handshake", "/auth/signout"].includes(path) ? "POST" : id ? "DELETE" : "GET";
      if (method !== whole) throw new Denied(405, "method_not_allowed");
    }
    const session = this.#session(request);
    const asks = id || (path.startsWith("/api/") && !SAFE.includes(method)) || path === "/api/strict";
    if (asks) this.#spend(session, request);
    switch (path) {
      case "/auth/handshake": {
        const handshake = random();
        session.handshakes = [...session.handshakes, handshake].slice(-8);
        return { body: handshake, headers: { "Content-Type": "text/plain" } };
      }
      case "/auth/whoami":
        return json({ email: session.email, name: this.users.get(session.email).name });
      case "/auth/sessions":
        return json([...this.sessions.keys()].map((cookie) => ({ id: cookie.slice(0, 8) })));
      case "/auth/signout":
        for (const [cookie, other] of this.sessions) if (other === session) this.sessions.delete(cookie);
        return {};
    }
    if (id) {
      for (const cookie of this.sessions.keys()) if (cookie.startsWith(id)) this.sessions.delete(cookie);
      return { status: 204 };
    }
    await this.#held;
    return json({ ...request, email: session.email });
  }

  #signUp(request) {
    const { email, name, password } = members(request, ["email", "name", "password"]);
    this.users.set(email, { name, password });
    return { status: 201 };
  }

  #signIn(request) {
    const { email, password } = members(request, ["email", "password"]);
    if (request.headers.authorization) throw new Denied(400, "credential_ambiguous");
    const jkt = this.keyBound ? this.#proof(request) : undefined;
    if (this.users.get(email)?.password !== password) throw new Denied(401, "token_invalid");
    const [cookie, half] = [random(), random()];
    this.sessions.set(cookie, { half, email, handshakes: [], jkt });
    const headers = { "Set-Cookie": `session=${cookie}; HttpOnly; Path=/; SameSite=Lax` };
    return { body: half, headers: { ...headers, "Content-Type": "text/plain", "Cache-Control": "no-store" } };
  }

  /** Both halves, of one session, and its key where it is bound to one. */
  #session(request) {
    const cookie = /(?:^|; )session=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
    const half = /^Bearer ([\w-]{43})$/.exec(request.headers.authorization ?? "")?.[1];
    if (!cookie && !half) throw new Denied(401, "credential_missing");
    if (!cookie || !half) throw new Denied(401, "proof_half");
    const session = this.sessions.get(cookie);
    if (session?.half !== half) throw new Denied(401, "proof_mismatch");
    if (session.jkt && this.#proof(request, half) !== session.jkt) throw new Denied(401, "dpop_invalid");
    return session;
  }

  #spend(session, request) {
    if (session.jkt) return;
    const { handshake } = request.headers;
    if (!handshake) throw new Denied(401, "handshake_missing");
    if (!session.handshakes.includes(handshake)) throw new Denied(401, "handshake_used");
    session.handshakes = session.handshakes.filter((other) => other !== handshake);
  }

  /** The thumbprint of the key that a proof of this request is by. */
  #proof(request, token) {
    const invalid = () => new Denied(401, "dpop_invalid");
    if (!request.headers.dpop) throw invalid();
    const { header, payload } = readProof(request.headers.dpop);
    const rightly =
      header.typ === "dpop+jwt" &&
      header.alg === "ES256" &&
      payload.htm === request.method &&
      payload.htu === this.origin + request.path &&
      Math.abs(payload.iat - Date.now() / 1000) < 60 &&
      payload.ath === (token === undefined ? undefined : sha256(token)) &&
      payload.nonce === this.nonce &&
      !this.#seen.has(payload.jti);
    if (!rightly) throw invalid();
    this.#seen.add(payload.jti);
    return thumbprint(header.jwk);
  }
}

const json = (value) => ({ body: JSON.stringify(value), headers: { "Content-Type": "application/json" } });

/** The body's members: these and no others, all of them text. */
function members(request, names) {
  if (request.method !== "POST") throw new Denied(405, "method_not_allowed");
  if (request.headers["content-type"] !== "application/json") throw new Denied(400, "credential_malformed");
  const body = JSON.parse(request.body);
  const found = Object.keys(body).sort().join();
  if (found !== [...names].sort().join() || Object.values(body).some((value) => typeof value !== "string")) {
    throw new Denied(400, "credential_malformed");
  }
  return body;
}

/** A denial to be given instead of an answer. */
export const denial = (status, code, headers = {}) => ({
  status,
  headers: { "Content-Type": "application/problem+json", ...headers },
  body: JSON.stringify({ type: `urn:countersign:code:${code}`, status, code, detail: `about ${code}`, decision: "d-2" }),
});
