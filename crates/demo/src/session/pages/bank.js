// The bank's page: signing in and out, the account, and what happened.

import { createClient } from "/countersign.min.js";
import { isYours, opened, shown } from "/attempts.js";
import { bring } from "/view.js";
import { offerWallet } from "/wallet.js";

const at = (id) => document.getElementById(id);
const stage = await (await fetch("/demo/stage")).json();

/** Whether the session is key-bound: another tab must know too. */
const BOUND = "bank:key-bound";
const isBound = () => localStorage.getItem(BOUND) === "yes";
const plain = createClient();
const keyBound = createClient({ keyBound: true });
const session = () => (isBound() ? keyBound : plain);

const money = (amount) => amount.toLocaleString("en");
const cut = (secret) => `${secret.slice(0, 6)}…${secret.slice(-2)}`;

function show(name, visible) {
  at(name).hidden = !visible;
}

/** Shows the account, and gives the balance. */
async function account() {
  const { balance, transfers } = await (await session().fetch("/api/account")).json();
  at("balance").textContent = money(balance);
  at("transfers").replaceChildren(
    ...transfers.slice(-4).map(({ to, amount }) => {
      const item = document.createElement("li");
      item.textContent = `${amount} to ${to}`;
      item.classList.toggle("lost", to === "eve");
      return item;
    }),
  );
  return balance;
}

/** Gives back what went to somebody, or everything. */
const undo = (to) => session().fetch(`/api/undo${to ? `?to=${to}` : ""}`, { method: "POST" });

function halves() {
  at("half").textContent = cut(localStorage.getItem(`countersign:${location.origin}`) ?? "");
  at("cookie").textContent = `document.cookie is "${document.cookie}"`;
  at("third").textContent = isBound() ? "The key" : "Handshakes";
  at("third-told").textContent = isBound()
    ? "P-256, made by this browser, which signs with it and never hands it out. Every request proves it."
    : "Whatever changes something takes a fresh one, which counts once and for a minute.";
}

/** While somebody signs in, until the account is as it was in the beginning. */
let isEntering = false;

async function render() {
  if (isEntering) return;
  const { signedIn } = session();
  show("signed-out", !signedIn);
  show("signed-in", signedIn);
  show("sign-out", signedIn);
  show("who", signedIn);
  show("steps", !signedIn);
  show("again", signedIn);
  if (!signedIn) {
    putAway();
    show("story", false);
    return;
  }
  halves();
  const user = await session().whoami();
  if (!user) return;
  at("who").textContent = user.name;
  await account();
}

/** Signing in, or up and then in. */
let isNew = false;
function choose(up) {
  isNew = up;
  show("name-field", up);
  at("form-title").textContent = up ? "Make an account" : "Sign in";
  at("submit").textContent = up ? "Make it and sign in" : "Sign in";
  at("other").textContent = up ? "I have an account" : "Make an account instead";
  const { email, password } = at("form").elements;
  email.value = up ? "" : stage.email;
  password.value = up ? "" : stage.password;
}

at("other").addEventListener("click", () => choose(!isNew));
at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, email, password, bound } = Object.fromEntries(new FormData(event.target));
  show("problem", false);
  isEntering = true;
  try {
    localStorage.setItem(BOUND, bound ? "yes" : "no");
    if (isNew) await session().signUp({ name, email, password });
    await session().signIn({ email, password });
    await undo();
  } catch (error) {
    at("problem").textContent = error.detail ?? error.message;
    show("problem", true);
    at("problem").scrollIntoView({ block: "nearest" });
  }
  isEntering = false;
  await render();
  // The form that had the focus is gone.
  if (session().signedIn) bring(at("account-title"));
});
at("sign-out").addEventListener("click", async () => {
  await session()
    .signOut()
    .finally(() => bring(at("form-title")));
});
for (const client of [plain, keyBound]) client.onChange(render);

at("transfer").addEventListener("click", async () => {
  await begin("");
  const attempt = isBound() ? "yours-bound" : "yours";
  const body = JSON.stringify({ to: "the cat shelter", amount: 10 });
  const headers = { "Content-Type": "application/json" };
  await session().fetch(`/api/transfers?attempt=${attempt}`, { method: "POST", headers, body });
  at("tally").textContent = `10 went to the cat shelter, and ${money(await account())} are left.`;
});

/** What the script of the attack has read, for whoever looks at this page. */
function found({ half, cookie, handshake, keys }) {
  const told = [
    ["The token half", cut(half)],
    ["The cookie", cookie === "" ? "nothing: document.cookie is empty" : cookie],
    ["A handshake", handshake ? cut(handshake) : "none: a key-bound session has no use for them"],
    ["The key", keys.length === 0 ? "there is none" : `found, and not to be taken out: ${keys.join(", ")}`],
  ];
  at("found-list").replaceChildren(
    ...told.map(([name, value]) => {
      const row = document.createElement("div");
      const [term, text] = [document.createElement("dt"), document.createElement("dd")];
      [term.textContent, text.textContent] = [name, value];
      row.append(term, text);
      return row;
    }),
  );
  show("found", true);
}

at("xss").addEventListener("click", async () => {
  await begin("The script has opened Eve's page, with what it found.");
  const { celebrate } = await import("/vendor/confetti.js");
  found(await celebrate(stage.eve));
});
at("malware").addEventListener("click", async () => {
  await begin("Eve's server has both halves.");
  const half = localStorage.getItem(`countersign:${location.origin}`);
  await fetch("/demo/malware", { method: "POST", headers: { Authorization: `Bearer ${half}` } });
});

/** Beside this page, where there is room. */
function leadsTo(id, url) {
  at(id).href = url;
  at(id).target = "_blank";
  at(id).addEventListener("click", (event) => {
    event.preventDefault();
    window.open(url, "_blank", "noopener,popup,width=520,height=760");
    begin("Eve's page is open in another window. Press her button there.");
  });
}
leadsTo("csrf-site", `${stage.eve}/`);
leadsTo("csrf-neighbour", `${stage.neighbour}/`);
leadsTo("both-site", `${stage.eve}/#both`);
leadsTo("both-neighbour", `${stage.neighbour}/#both`);

/** What was noted on the way to the gateway since something was last begun here, and the balance of then. */
let last = 0;
let seen = [];
let before = 0;
/** Counts what was begun: what comes late from an earlier one is not shown. */
let run = 0;
let isAwaited = false;

async function story() {
  const own = run;
  const { last: newest, attempts } = await (await fetch(`/demo/story?after=${last}`)).json();
  if (own !== run) return;
  last = newest;
  if (attempts.length === 0) return;
  at("attempts").append(...attempts.map(shown));
  show("story", true);
  // The page was too short for it when it was begun.
  if (isAwaited) bring(at("story-title"));
  isAwaited = false;
  seen = [...seen, ...attempts].filter((noted) => !isYours(noted));
  const tried = seen.length;
  const worked = seen.filter(opened).length;
  const left = session().signedIn ? await account() : before;
  if (own !== run || tried === 0) return;
  const came = worked === 0 ? "and nothing opened" : `and ${worked === tried ? "all" : worked} worked`;
  const taken = left < before ? ` You had ${money(before)}, and have ${money(left)}.` : "";
  at("tally").textContent = `Eve tried ${tried} times, ${came}.${taken}`;
}

function putAway() {
  run += 1;
  seen = [];
  at("attempts").replaceChildren();
  show("found", false);
}

/** Something new is begun: what came before is put away, and what Eve took is given back. */
async function begin(told) {
  await undo("eve");
  before = await account();
  last = (await (await fetch(`/demo/story?after=${last}`)).json()).last;
  putAway();
  at("tally").textContent = told;
  show("story", true);
  isAwaited = true;
  bring(at("story-title"));
}

async function follow() {
  // A gateway that is gone is no news.
  await story().catch(() => {});
  setTimeout(follow, 700);
}

choose(false);
offerWallet();
await render().catch(() => {});
last = (await (await fetch("/demo/story?after=0")).json()).last;
follow();
