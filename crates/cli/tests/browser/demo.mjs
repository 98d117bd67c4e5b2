// `countersign demo session`, as somebody would use it: each attack, and what came of it.

import assert from "node:assert/strict";
import { join } from "node:path";
import { browser, eventually, require, run, world } from "./support.mjs";

const { Wallet, getBytes } = require("ethers");
const { stage } = world;

await run(async (closing) => {
  const context = closing(await browser());
  const page = await context.newPage();
  const broken = [];
  page.on("pageerror", (error) => broken.push(String(error)));
  page.on("console", (message) => /Content Security Policy/.test(message.text()) && broken.push(message.text()));

  /** From the top of one element to the bottom of another. */
  const picture = async (name, from, to, on = page) => {
    await on.evaluate(() => document.activeElement?.blur());
    await on.mouse.move(0, 0);
    const [begin, end] = [await on.locator(from).boundingBox(), await on.locator(to).boundingBox()];
    const width = on.viewportSize().width;
    const y = Math.max(0, begin.y + (await on.evaluate(() => scrollY)) - 16);
    const height = end.y + end.height + (await on.evaluate(() => scrollY)) + 8 - y;
    await on.screenshot({ path: join(world.pictures, `${name}.png`), fullPage: true, clip: { x: 0, y, width, height } });
  };
  /** What the page tells of attempts: name, status, code. */
  const told = () =>
    page.$$eval(".attempt", (items) => items.map((item) => `${item.dataset.attempt} ${item.querySelector(".answer").textContent}`));
  const comes = async (expected) => {
    await eventually(expected.join(), async () => (await told()).length >= expected.length);
    assert.deepEqual((await told()).toSorted(), expected.toSorted());
    // Each is explained.
    assert.ok((await page.$$eval(".attempt .why", (all) => all.map((why) => why.textContent))).every(Boolean));
  };
  const balance = () => page.textContent("#balance");
  const signIn = async (bound) => {
    await page.waitForSelector("#submit:visible");
    await page.setChecked("[name=bound]", bound);
    await page.click("#submit");
    await page.waitForSelector("#signed-in:visible");
  };
  /** Presses a button that opens Eve's page, and hers there. */
  const eves = async (id, presses) => {
    const [eve] = await Promise.all([context.waitForEvent("page"), page.click(`#${id}`)]);
    if (presses) await eve.click("#go");
    await eve.waitForSelector("#after:not(:empty)");
    return eve;
  };

  // Pictures are of what does not move.
  await page.emulateMedia({ reducedMotion: "reduce" });
  const answer = await page.goto(`${stage.bank}/`);
  const policy = (await answer.allHeaders())["content-security-policy"];
  assert.match(policy, /script-src 'self';/);
  assert.doesNotMatch(policy, /unsafe|\*|http/);
  assert.match(await page.textContent("#wallet-told"), /no wallet/);
  await signIn(false);
  await page.click("#transfer");
  await comes(["yours 200"]);
  await eventually("the transfer shows", async () => (await balance()) === "4,990");
  assert.equal(await page.textContent("#cookie"), 'document.cookie is ""');
  const half = await page.evaluate(() => localStorage.getItem(`countersign:${location.origin}`));
  assert.match(half, /^[\w-]{43}$/);
  assert.doesNotMatch(await page.textContent("body"), new RegExp(half.slice(8, 40)), "halves are shown shortened");
  await picture("session", ".bar", ".attacks");

  // XSS: a script of the page itself reads all it can, and carries it to Eve, past the strictest policy.
  const thanks = await eves("xss", false);
  assert.match(await page.textContent("#found-list"), /document.cookie is empty/);
  await comes([
    "half 401 proof_half",
    "half-handshake 401 proof_half",
    "half-invented-cookie 401 proof_mismatch",
    "half-own-cookie 401 proof_mismatch",
    "borrowed-handshake 401 handshake_used",
  ]);
  assert.match(await page.textContent("#tally"), /5 times, and nothing opened/);
  await picture("xss", "#story", ".attempt:nth-child(2)");
  await thanks.close();

  // CSRF: from another site the browser keeps the cookie, but for links; from the same site it adds it.
  for (const [from, alone] of [["site", "credential_missing"], ["neighbour", "proof_half"]]) {
    const eve = await eves(`csrf-${from}`, true);
    await comes([
      `${from}-link 401 proof_half`,
      ...["form", "fetch", "text", "image"].map((way) => `${from}-${way} 401 ${alone}`),
      `${from}-sign-in 403 cross_site`,
    ]);
    await eve.close();
  }
  await page.emulateMedia({ colorScheme: "dark" });
  await picture("csrf", "#story", ".attempt:nth-child(2)");
  await page.emulateMedia({ colorScheme: "light" });

  // Both at once: Eve's page has the half, and the browser adds the cookie if it adds it at all.
  for (const [from, code] of [["site", "401 proof_half"], ["neighbour", "403 cross_site"]]) {
    const eve = await eves(`both-${from}`, true);
    await comes([`${from}-preflight 401 credential_missing`, `${from}-socket ${code}`]);
    await eve.close();
  }
  assert.equal(await balance(), "4,990", "nothing was changed");

  // Both halves of a session without a key: whoever has them is Alice, and the page says so.
  await page.click("#malware");
  await comes(["both-read 200", "both-handshake 200", "both-transfer 200"]);
  await eventually("the money is gone", async () => (await balance()) === "4,890");
  assert.match(await page.textContent("#transfers"), /100 to eve/);
  assert.match(await page.textContent("#tally"), /3 times, and all worked/);
  await picture("both-halves", "#story", ".attempt:last-child");

  // The same of a session with a key. Its key is found, and does not come out.
  await page.click("#sign-out");
  await signIn(true);
  await page.click("#transfer");
  await comes(["yours-bound 200"]);
  await page.click("#malware");
  await comes(["both-read 401 dpop_invalid", "both-handshake 401 dpop_invalid", "both-own-key 401 dpop_invalid"]);
  await picture("key-bound", "#story", ".attempt:last-child");
  const again = await eves("xss", false);
  assert.match(await page.textContent("#found-list"), /found, and not to be taken out: InvalidAccessError/);
  await comes(["half 401 proof_half", "half-invented-cookie 401 proof_mismatch", "half-own-cookie 401 proof_mismatch"]);
  await again.close();
  const eve = await eves("both-neighbour", true);
  await comes(["neighbour-preflight 401 credential_missing", "neighbour-socket 403 cross_site"]);
  await eve.close();
  assert.equal(await balance(), "4,990", "nothing but her own transfer");
  await page.setViewportSize({ width: 390, height: 844 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out on a phone");
  await page.$eval("#story-title", (title) => title.scrollIntoView());
  await page.screenshot({ path: join(world.pictures, "phone.png") });
  await page.setViewportSize({ width: 1180, height: 900 });

  // Signed out, somebody new signs up.
  await page.click("#sign-out");
  await page.click("#other");
  await page.fill("[name=email]", "ann@example.org");
  await page.fill("[name=password]", "correct horse battery");
  await signIn(false);
  await eventually("Ann has an account of her own", async () => (await balance()) === "5,000");
  assert.equal(await page.textContent("#who"), "Ann");

  // With a wallet, no session is needed.
  await page.click("#sign-out");
  const wallet = Wallet.createRandom();
  await context.exposeFunction("personalSign", (message) => wallet.signMessage(getBytes(message)));
  await context.addInitScript((address) => {
    window.ethereum = {
      async request({ method, params }) {
        if (method === "personal_sign" && params[1].toLowerCase() === address.toLowerCase()) return personalSign(params[0]);
        if (method === "eth_requestAccounts") return [address.toLowerCase()];
        throw new Error(`${method} is not known`);
      },
    };
  }, wallet.address);
  await page.reload();
  for (const [name, scheme] of [["wallet-signature", "signature"], ["wallet-asymmetric", "asymmetric"]]) {
    await page.click(`#${name}`);
    const expected = `The bank was told: eip155:${wallet.address.toLowerCase()}, proven by ${scheme}.`;
    await eventually(expected, async () => (await page.textContent("#wallet-result")) === expected);
  }
  assert.deepEqual(broken, []);
});
