// The client's life with a real gateway, in the place of a browser: node client.mjs ORIGIN

import assert from "node:assert/strict";
import { Browser } from "../../../../web/test/support/browser.mjs";

const origin = process.argv[2];
const ann = { email: "ann@example.org", password: "correct horse battery" };
const post = (tab) => tab.fetch("/api/orders", { method: "POST", body: "{}" });
const refused = (code, status = 401) => ({ name: "CountersignError", code, status });

const browser = new Browser({ origin });
const tab = browser.tab();
await tab.signUp({ ...ann, name: "Ann" });
await assert.rejects(tab.signIn({ ...ann, password: "not hers at all" }), refused("sign_in_refused"));
assert.equal(tab.signedIn, false);
await tab.signIn(ann);
assert.deepEqual(await tab.whoami(), { email: ann.email, name: "Ann" });
assert.equal((await tab.fetch("/api/orders")).status, 200);
assert.equal((await post(tab)).status, 200);
const answers = await Promise.all(Array.from({ length: 12 }, () => post(tab)));
assert.ok(answers.every(({ status }) => status === 200));

// Another tab is in the same session; another browser is in one of its own.
const other = browser.tab();
assert.equal((await post(other)).status, 200);
const phone = new Browser({ origin }).tab();
await phone.signIn(ann);
const listed = await tab.sessions();
assert.deepEqual(listed.map(({ current }) => current), [true, false]);
await tab.endSession(listed[1].id);
assert.equal(await phone.whoami(), null);
assert.equal(phone.signedIn, false);

// Stolen halves, each from where it can be taken.
const half = browser.half;
const bearer = { Authorization: `Bearer ${half}` };
const alone = await fetch(`${origin}/api/orders`, { headers: bearer });
assert.equal((await alone.json()).code, "proof_half");

const cookies = new Map(browser.cookies);
await tab.signOut();
assert.deepEqual([tab.signedIn, other.signedIn, browser.cookies.size], [false, false, 0]);
[browser.half, browser.cookies] = [half, cookies];
await assert.rejects(post(tab), refused("proof_mismatch"));

// Bound to a key: the halves are worth nothing without it.
const bound = new Browser({ origin });
const keyed = bound.tab({ keyBound: true });
await keyed.signIn(ann);
assert.equal((await keyed.fetch("/api/orders")).status, 200);
assert.equal((await post(keyed)).status, 200);
assert.deepEqual(await keyed.whoami(), { email: ann.email, name: "Ann" });
const thief = new Browser({ origin });
thief.half = bound.half;
thief.cookies = new Map(bound.cookies);
await assert.rejects(thief.tab().fetch("/api/orders"), refused("dpop_invalid"));
await keyed.signOut();
assert.equal(keyed.signedIn, false);

console.log("all is well");
