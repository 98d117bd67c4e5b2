// What each attempt is, and why it ended as it did.

const FOR_EVE = "your browser, for Eve's page";
const EVE = "Eve's server, from elsewhere";

const WITHOUT_COOKIE =
  "Eve's page is of another site, so your browser kept the cookie to itself. Nobody was proven.";
const HALF_MISSING = "The token half is missing: no other page can read it, so none can send it.";
const COOKIE_ALONE = `Your browser did add the cookie. ${HALF_MISSING}`;
const BOUND = "Both halves, and still nothing: this session also needs a proof of a key that cannot leave your browser.";
const BEARER =
  "It worked. Both halves are the session, wherever they are used, until it ends. Only a key-bound session withstands this.";

/** By name: what it is, who sent it, and a sentence for each code; without a code it passed. */
const KNOWN = {
  yours: { title: "Your own transfer", by: "you", why: { "": "Both halves, and a handshake that counts once." } },
  "yours-bound": {
    title: "Your own transfer",
    by: "you",
    why: { "": "Both halves, and a proof of the key that this session is bound to." },
  },
  half: {
    title: "The token half alone",
    by: EVE,
    why: { proof_half: "The script could read this half. The other one is in the cookie, which no script can read." },
  },
  "half-handshake": {
    title: "The token half, and a stolen handshake",
    by: EVE,
    why: { proof_half: "A handshake makes nothing whole. It goes with both halves, and counts once." },
  },
  "half-invented-cookie": {
    title: "The token half, and an invented cookie",
    by: EVE,
    why: { proof_mismatch: "No session has this cookie, and nobody guesses one: there are 2²⁵⁶." },
  },
  "half-own-cookie": {
    title: "Your token half, beside Eve's own cookie",
    by: EVE,
    why: { proof_mismatch: "Eve has a session too. But these halves are of two sessions." },
  },
  "borrowed-handshake": {
    title: "Eve's own session, with your handshake",
    by: EVE,
    why: { handshake_used: "A handshake belongs to the session that it was given to." },
  },
  form: {
    title: "A form that transfers 1000",
    by: FOR_EVE,
    why: { credential_missing: WITHOUT_COOKIE, proof_half: COOKIE_ALONE },
  },
  fetch: {
    title: "A fetch with credentials",
    by: FOR_EVE,
    why: { credential_missing: WITHOUT_COOKIE, proof_half: COOKIE_ALONE },
  },
  text: {
    title: "JSON, disguised as plain text",
    by: FOR_EVE,
    why: { credential_missing: WITHOUT_COOKIE, proof_half: COOKIE_ALONE },
  },
  image: {
    title: "An image whose address is a transfer",
    by: FOR_EVE,
    why: { credential_missing: WITHOUT_COOKIE, proof_half: COOKIE_ALONE },
  },
  link: {
    title: "A link that you followed",
    by: FOR_EVE,
    why: { proof_half: `Links may come from anywhere, and the cookie goes along. ${HALF_MISSING}` },
  },
  "sign-in": {
    title: "A form that signs you in as Eve",
    by: FOR_EVE,
    why: { cross_site: "She wanted to watch what you do in her account. Your browser says whose page sends this: not the bank's." },
  },
  preflight: {
    title: "The stolen half, as a header",
    by: FOR_EVE,
    why: {
      credential_missing:
        "Before another page may send such a header, your browser asks the bank. It was not told yes, and sent nothing.",
    },
  },
  socket: {
    title: "The stolen half, in a WebSocket",
    by: FOR_EVE,
    why: {
      proof_half: "Nobody is asked before a WebSocket. But the page is of another site, so the cookie is missing.",
      cross_site:
        "Nobody is asked before a WebSocket, and the cookie went along: both halves. But the request says whose page it comes from.",
    },
  },
  "both-read": { title: "Both halves: read the account", by: EVE, why: { "": BEARER, dpop_invalid: BOUND } },
  "both-handshake": {
    title: "Both halves: get a handshake",
    by: EVE,
    why: { "": "It worked. Whoever has the session gets its handshakes.", dpop_invalid: BOUND },
  },
  "both-transfer": {
    title: "Both halves: transfer 100 to Eve",
    by: EVE,
    why: { "": "It worked, and your money is gone. Signing out ends her access together with yours." },
  },
  "both-own-key": {
    title: "Both halves, and a proof by Eve's own key",
    by: EVE,
    why: { dpop_invalid: "Her proof is sound, but this session is bound to your browser's key, not to hers." },
  },
  "wallet-signature": { title: "A request that your wallet signed", by: "you", why: { "": "The signature says who." } },
  "wallet-asymmetric": { title: "A request that your wallet signed", by: "you", why: { "": "The signature says who." } },
};

/** Where Eve's page was, by how an attempt begins. */
const FROM = { "site-": " of another site", "neighbour-": " of the same site" };

function known(name) {
  const from = Object.keys(FROM).find((begin) => name.startsWith(begin));
  const attempt = KNOWN[from ? name.slice(from.length) : name];
  return attempt && { ...attempt, by: from ? attempt.by + FROM[from] : attempt.by };
}

const element = (name, className, text) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

/** The request as it is written in HTTP/1.1, without what says nothing here. */
function written({ method, target, headers, body }) {
  const name = (text) => (text === "dpop" ? "DPoP" : text.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()));
  const lines = headers.map(([header, value]) => `${name(header)}: ${value}`);
  if (!headers.some(([header]) => header === "cookie")) lines.push("(no cookie)");
  return [`${method} ${target}`, ...lines, ...(body ? ["", body] : [])].join("\n");
}

/** Whether somebody else's attempt got what it wanted. */
export const opened = ({ attempt, status }) => status < 400 && known(attempt)?.by !== "you";

export const isYours = ({ attempt }) => known(attempt)?.by === "you";

/** One attempt, as an item of the story. */
export function shown(noted) {
  const { title, by, why } = known(noted.attempt) ?? { title: noted.attempt, by: "somebody", why: {} };
  const item = element("li", "attempt");
  item.dataset.attempt = noted.attempt;
  if (opened(noted)) item.classList.add("opened");
  if (isYours(noted)) item.classList.add("yours");
  const told = element("div");
  told.append(element("h3", "", title), element("span", "by", by));
  told.append(element("strong", "answer", noted.code ? `${noted.status} ${noted.code}` : String(noted.status)));
  told.append(element("p", "why", why[noted.code ?? ""] ?? ""));
  if (noted.cause) told.append(element("p", "noted", `For the bank's operator: ${noted.cause}.`));
  item.append(told, element("pre", "", written(noted)));
  return item;
}
