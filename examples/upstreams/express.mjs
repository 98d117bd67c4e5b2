// An API behind the gateway: it believes what the gateway asserts of a request, and nobody who comes around it.
//
//   npm install express jose
//   GATEWAY=https://api.example ORIGIN=http://127.0.0.1:3000 PORT=3000 node express.mjs
//
// GATEWAY is the gateway's `public_url`, ORIGIN is this API as the route's `upstream` writes it.
import { createHash } from "node:crypto";
import express from "express";
import { createRemoteJWKSet, jwtVerify } from "jose";

const { GATEWAY, ORIGIN, PORT } = process.env;
const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", GATEWAY), { cooldownDuration: 5000 });
const gateway = { issuer: `${GATEWAY}/assertion`, audience: ORIGIN, typ: "countersign-assertion+jwt" };
const terms = { ...gateway, algorithms: ["EdDSA"], requiredClaims: ["sub", "exp"], clockTolerance: 30 };

async function asserted(request, response, next) {
  try {
    const { payload } = await jwtVerify(request.get("countersign-assertion") ?? "", keys, terms);
    const digest = `sha-256=:${createHash("sha256").update(request.body ?? "").digest("base64")}:`;
    const isAboutThis = payload.htm === request.method && payload.htu === GATEWAY + request.originalUrl;
    if (!isAboutThis || (payload.digest ?? digest) !== digest) throw new Error("it is about another request");
    request.caller = payload;
  } catch {
    return response.status(401).json({ code: "token_invalid" });
  }
  next();
}

const app = express();
// The bytes of the body, whatever their type, as they were sent: the digest is over them.
app.use(express.raw({ type: () => true, inflate: false, limit: "1mb" }), asserted);
app.all("/{*path}", (request, response) => {
  response.json({ subject: request.caller.sub, permissions: request.caller.permissions });
});
app.listen(Number(PORT), "127.0.0.1");
