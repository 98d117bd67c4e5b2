// The life of a session, and the `fetch` that proves it.

import assert from "node:assert/strict";
import { inspect } from "node:util";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { ANN, Browser } from "./support/browser.mjs";
import { denial, Server } from "./support/server.mjs";

let server, browser, tab;
const post = (path, init = {}) => tab.fetch(path, { method: "POST", body: "{}", ...init });
const refused = (code, status = 401) => ({ name: "CountersignError", code, status });
const deny = (path, ...answers) => server.instead.set(path, answers);

beforeEach(async () => {
  server = await new Server().start();
  browser = new Browser(server);
  tab = browser.tab();
});
afterEach(() => server.stop());

describe("a session", () => {
  test("begins, is somebody's, and ends", async () => {
    await tab.signUp({ email: "bob@example.com", name: "Bob", password: "another battery" });
    assert.equal(await tab.whoami(), null);
    assert.deepEqual(server.asked, ["POST /auth/signup"], "nobody need be asked");
    await tab.signIn({ email: "bob@example.com", password: "another battery" });
    assert.equal(tab.signedIn, true);
    assert.deepEqual(await tab.whoami(), { email: "bob@example.com", name: "Bob" });
    const half = browser.half;
    await tab.signOut();
    assert.deepEqual([tab.signedIn, server.sessions.size, browser.half], [false, 0, undefined]);
    assert.equal(server.count("POST /auth/handshake"), 0);
    assert.equal(await tab.whoami(), null);
    assert.deepEqual(
      tab.changes.map(({ signedIn, reason }) => [signedIn, reason]),
      [
        [true, "signed-in"],
        [false, "signed-out"],
      ],
    );
    browser.half = half;
    await assert.rejects(post("/api/orders"), refused("proof_mismatch"));
  });

  test("needs the right password", async () => {
    await assert.rejects(tab.signIn({ ...ANN, password: "wrong" }), {
      ...refused("token_invalid"),
      detail: "about token_invalid",
      decision: "d-1",
    });
    assert.deepEqual([tab.signedIn, tab.changes], [false, []]);
  });

  test("takes no answer for a half that is none", async () => {
    for (const body of ["", "<html></html>", "short", `${"a".repeat(43)}!`, JSON.stringify("a".repeat(43))]) {
      deny("/auth/signin", { body });
      await assert.rejects(tab.signIn(ANN), refused("unexpected_answer", 200));
      assert.equal(tab.signedIn, false);
    }
  });

  test("ends here although the server cannot be reached, which is said", async () => {
    await tab.signIn(ANN);
    server.stop();
    await assert.rejects(tab.signOut(), TypeError);
    assert.equal(tab.signedIn, false);
  });

  test("that has ended already can be ended", async () => {
    await tab.signIn(ANN);
    server.sessions.clear();
    await tab.signOut();
    assert.equal(tab.signedIn, false);
  });

  test("is listed, and ended from another browser", async () => {
    await tab.signIn(ANN);
    const other = new Browser(server).tab();
    await other.signIn(ANN);
    const [mine] = await other.sessions();
    await other.endSession(mine.id);
    assert.equal(await tab.whoami(), null);
    assert.deepEqual(tab.changes.at(-1), { signedIn: false, reason: "ended" });
  });
});

describe("handshakes", () => {
  beforeEach(() => tab.signIn(ANN));

  test("go with unsafe methods, one for each", async () => {
    await tab.fetch("/api/orders");
    await tab.fetch("/api/orders", { method: "HEAD" });
    assert.equal(server.count("POST /auth/handshake"), 0);
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      assert.equal((await tab.fetch("/api/orders", { method })).status, 200);
    }
    assert.equal(server.count("POST /auth/handshake"), 4);
    assert.ok(server.requests.filter(({ path }) => path === "/auth/handshake").every((each) => !each.headers.handshake));
  });

  test("go with every method, or wait to be asked for", async () => {
    const always = browser.tab({ handshake: "always" });
    await always.fetch("/api/strict");
    assert.deepEqual(server.asked.slice(-2), ["POST /auth/handshake", "GET /api/strict"]);
    const never = browser.tab({ handshake: "never" });
    await never.fetch("/api/orders", { method: "POST" });
    assert.deepEqual(server.asked.slice(-3), ["POST /api/orders", "POST /auth/handshake", "POST /api/orders"]);
  });

  test("are had for a safe method where the route asks", async () => {
    assert.equal((await tab.fetch("/api/strict")).status, 200);
    assert.deepEqual(server.asked.slice(-3), ["GET /api/strict", "POST /auth/handshake", "GET /api/strict"]);
  });

  for (const code of ["handshake_used", "handshake_missing"]) {
    test(`are had once more on ${code}, with the same body`, async () => {
      deny("/api/orders", denial(401, code));
      const answer = await (await post("/api/orders", { body: "cups=2" })).json();
      assert.equal(answer.body, "cups=2");
      assert.equal(server.count("POST /auth/handshake"), 2);
    });
  }

  test("are not had a third time", async () => {
    deny("/api/orders", denial(401, "handshake_used"), denial(401, "handshake_used"));
    await assert.rejects(post("/api/orders"), refused("handshake_used"));
    assert.equal(server.count("POST /api/orders"), 2);
    assert.equal(tab.signedIn, true);
  });

  test("never repeat a body that is gone", async () => {
    deny("/api/orders", denial(401, "handshake_used"));
    const body = new Blob(["once"]).stream();
    await assert.rejects(post("/api/orders", { body, duplex: "half" }), refused("handshake_used"));
    assert.equal(server.count("POST /api/orders"), 1);
    assert.equal(server.requests.at(-1).body, "once");
  });

  test("repeat a form and a Request", async () => {
    const form = new FormData();
    form.set("cups", "2");
    deny("/api/orders", denial(401, "handshake_used"));
    const { headers, body } = await (await post("/api/orders", { body: form })).json();
    const boundary = /boundary=(.*)$/.exec(headers["content-type"])[1];
    assert.ok(body.startsWith(`--${boundary}`), "the boundary is the body's own");
    deny("/api/orders", denial(401, "handshake_used"));
    const request = new Request(`${server.origin}/api/orders`, { method: "PUT", body: "a Request", headers: { "X-A": "1" } });
    const answer = await (await tab.fetch(request)).json();
    assert.deepEqual([answer.method, answer.body, answer.headers["x-a"]], ["PUT", "a Request", "1"]);
  });

  test("of many requests at once evict none of each other's", async () => {
    await Promise.all(Array.from({ length: 40 }, () => post("/api/orders")));
    assert.equal(server.count("POST /auth/handshake"), 40);
    assert.equal(server.count("POST /api/orders"), 40);
  });

  test("do not wait for slow answers", async (context) => {
    const arrived = [];
    const { setTimeout } = globalThis;
    context.after(() => (globalThis.setTimeout = setTimeout));
    globalThis.setTimeout = (act, after, ...rest) =>
      after === 2000 ? void arrived.push(act) : setTimeout(act, after, ...rest);
    const turn = () => new Promise(setImmediate);

    const held = server.hold();
    const answers = Promise.all(Array.from({ length: 8 }, () => post("/api/orders")));
    while (server.count("POST /api/orders") < 4) await turn();
    for (let turns = 0; turns < 50; turns++) await turn();
    assert.deepEqual([server.count("POST /auth/handshake"), arrived.length], [4, 4]);
    for (const act of arrived.splice(0)) act();
    while (server.count("POST /api/orders") < 8) await turn();
    held.release();
    await answers;
  });
});

describe("an ended session", () => {
  beforeEach(() => tab.signIn(ANN));

  for (const code of ["proof_half", "proof_mismatch"]) {
    test(`is forgotten on ${code}, and everybody is told`, async () => {
      const other = browser.tab();
      deny("/api/orders", denial(401, code));
      await assert.rejects(tab.fetch("/api/orders"), refused(code));
      assert.equal(tab.signedIn, false);
      assert.deepEqual(tab.changes.at(-1), { signedIn: false, reason: "ended" });
      assert.deepEqual(other.changes, [{ signedIn: false, reason: "signed-out" }]);
    });
  }

  test("is noticed when a handshake is asked for", async () => {
    server.sessions.clear();
    await assert.rejects(post("/api/orders"), refused("proof_mismatch"));
    assert.equal(tab.signedIn, false);
    assert.equal(server.count("POST /api/orders"), 0);
  });

  test("is not what another denial means", async () => {
    for (const [status, code] of [[401, "token_invalid"], [401, "proof_expired"], [403, "permission_missing"], [403, "cross_site"], [503, "store_unavailable"]]) {
      deny("/api/orders", denial(status, code));
      await assert.rejects(tab.fetch("/api/orders"), refused(code, status));
      assert.equal(tab.signedIn, true);
    }
  });

  test("of a late answer is not the one that has begun meanwhile", async () => {
    const halves = ["n", "o"].map((letter) => letter.repeat(43));
    const late = browser.tab({
      async fetch(...request) {
        const response = await browser.fetch(...request);
        browser.half = halves.shift();
        return response;
      },
    });
    deny("/api/orders", denial(401, "proof_mismatch"), denial(401, "proof_mismatch"));
    await assert.rejects(late.fetch("/api/orders"), refused("proof_mismatch"));
    assert.equal(browser.half, "o".repeat(43));
    assert.deepEqual(late.changes, []);
  });

  test("is followed by the one that another tab has begun", async () => {
    let begun = false;
    const late = browser.tab({
      async fetch(...request) {
        if (!begun) {
          begun = true;
          server.sessions.clear();
          await browser.tab().signIn(ANN);
        }
        return browser.fetch(...request);
      },
    });
    assert.equal((await late.fetch("/api/orders")).status, 200);
    assert.equal(server.count("GET /api/orders"), 2);
    assert.equal(tab.signedIn, true);
  });
});

describe("answers", () => {
  test("of the application are its own, problems included", async () => {
    await tab.signIn(ANN);
    const own = { status: 409, headers: { "Content-Type": "application/problem+json" }, body: '{"code":"proof_mismatch"}' };
    deny("/api/orders", own, { status: 401, body: "no" }, { ...denial(401, "proof_mismatch"), status: 200 });
    const response = await tab.fetch("/api/orders");
    assert.deepEqual([response.status, await response.json()], [409, { code: "proof_mismatch" }]);
    assert.equal((await tab.fetch("/api/orders")).status, 401);
    assert.equal((await tab.fetch("/api/orders")).status, 200);
    assert.equal(tab.signedIn, true);
  });

  test("that deny are errors with a type", async () => {
    await tab.signIn(ANN);
    deny("/api/orders", denial(429, "rate_limited", { "Retry-After": "7" }));
    await assert.rejects(tab.fetch("/api/orders"), {
      ...refused("rate_limited", 429),
      detail: "about rate_limited",
      decision: "d-2",
      retryAfter: 7,
      message: "rate_limited: about rate_limited",
    });
  });

  test("to nobody say what is missing", async () => {
    await assert.rejects(post("/api/orders"), refused("credential_missing"));
    assert.equal(server.count("POST /auth/handshake"), 0);
  });

  test("that nobody expects are errors too", async () => {
    await tab.signIn(ANN);
    deny("/auth/whoami", { status: 500, body: "broken" });
    await assert.rejects(tab.whoami(), refused("unexpected_answer", 500));
    deny("/auth/handshake", { status: 502, body: "broken" });
    await assert.rejects(post("/api/orders"), refused("unexpected_answer", 502));
    assert.equal(tab.signedIn, true);
  });
});

describe("nothing leaks", () => {
  let eve;
  before(async () => (eve = await new Server().start()));
  after(() => eve.stop());
  beforeEach(() => tab.signIn(ANN));

  test("to another origin", async () => {
    const port = Number(new URL(server.origin).port);
    const elsewhere = [
      `${eve.origin}/api/orders`,
      `//${new URL(eve.origin).host}/api/orders`,
      `\\\\${new URL(eve.origin).host}/api/orders`,
      `http://localhost:${port}/api/orders`,
      `https://127.0.0.1:${port}/api/orders`,
      `${server.origin}.example/`,
      "data:text/plain,x",
      new URL(`${eve.origin}/api/orders`),
      new Request(`${eve.origin}/api/orders`),
    ];
    for (const url of elsewhere) await assert.rejects(tab.fetch(url, { method: "POST" }), TypeError);
    assert.deepEqual([eve.requests, server.count("POST /auth/handshake")], [[], 0]);
  });

  test("by a redirect", async () => {
    const away = { status: 307, headers: { Location: `${eve.origin}/stolen` } };
    deny("/api/orders", away, away, away, away);
    await assert.rejects(post("/api/orders"), TypeError);
    await assert.rejects(post("/api/orders", { redirect: "follow" }), TypeError);
    await assert.rejects(tab.fetch(new Request(`${server.origin}/api/orders`, { redirect: "follow" })), TypeError);
    const shown = await post("/api/orders", { redirect: "manual" });
    assert.equal(shown.status, 307);
    deny("/auth/signin", away);
    await assert.rejects(tab.signIn(ANN), TypeError);
    deny("/auth/handshake", away);
    await assert.rejects(post("/api/orders"), TypeError);
    assert.deepEqual(eve.requests, []);
  });

  test("in errors, states and the client itself", async () => {
    const half = browser.half;
    const printed = [];
    const methods = ["log", "info", "warn", "error", "debug"];
    const kept = methods.map((name) => [name, console[name]]);
    for (const name of methods) console[name] = (...parts) => printed.push(parts);
    try {
      await post("/api/orders");
      deny("/api/orders", denial(403, "permission_missing"));
      const error = await post("/api/orders").catch((thrown) => thrown);
      const shown = inspect([error, tab, Object.getPrototypeOf(tab), tab.changes, printed], { depth: 9, showHidden: true });
      const { handshake } = server.requests.at(-1).headers;
      assert.ok(!shown.includes(half) && !shown.includes(handshake));
      assert.deepEqual(printed, []);
    } finally {
      for (const [name, method] of kept) console[name] = method;
    }
  });

  test("beside what it is for: no cookie of ours is set, no URL has a half", async () => {
    await post("/api/orders");
    assert.ok(server.requests.every(({ url, body }) => !url.includes(browser.half) && !body.includes(browser.half)));
  });
});

describe("tabs", () => {
  test("share a session, and its end", async () => {
    const other = browser.tab();
    await tab.signIn(ANN);
    assert.equal(other.signedIn, true);
    assert.equal((await other.whoami()).name, "Ann");
    assert.deepEqual(other.changes, [{ signedIn: true, reason: "signed-in" }]);
    await tab.signOut();
    assert.deepEqual([other.signedIn, await other.whoami()], [false, null]);
    assert.deepEqual(other.changes.at(-1), { signedIn: false, reason: "signed-out" });
  });

  test("notice that everything was cleared, and nothing else", async () => {
    const other = browser.tab();
    await tab.signIn(ANN);
    tab.storage.setItem("another", "thing");
    assert.equal(other.changes.length, 1);
    tab.storage.clear();
    assert.deepEqual(other.changes.at(-1), { signedIn: false, reason: "signed-out" });
  });

  test("take nothing for a half that is none", async () => {
    for (const value of ["x", `${"a".repeat(43)}\r\nX-Evil: 1`, ""]) {
      browser.half = value;
      assert.equal(tab.signedIn, false);
    }
  });

  test("stop telling who does not want to hear", async () => {
    let heard = 0;
    const stop = tab.onChange(() => heard++);
    await tab.signIn(ANN);
    stop();
    await tab.signOut();
    assert.equal(heard, 1);
  });
});

describe("WebSockets", () => {
  test("offer half and handshake as subprotocols", async () => {
    assert.deepEqual(await tab.webSocketProtocols(), []);
    await tab.signIn(ANN);
    const protocols = await tab.webSocketProtocols();
    const [session] = server.sessions.values();
    assert.deepEqual(protocols, [`countersign.half.${session.half}`, `countersign.handshake.${session.handshakes[0]}`]);
    // RFC 6455 §4.1: each is a token.
    assert.ok(protocols.every((protocol) => /^[\w.-]+$/.test(protocol)));
    const never = browser.tab({ handshake: "never" });
    assert.deepEqual(await never.webSocketProtocols(), [`countersign.half.${session.half}`]);
  });
});

test("a client is for an origin of http or https", () => {
  for (const origin of ["file:///etc/passwd", "data:,x", "nonsense"]) {
    assert.throws(() => browser.tab({ origin }), TypeError);
  }
});
