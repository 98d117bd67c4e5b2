// `countersign demo session` on a phone: one sees what happened where one pressed, and begins anew each time.

import assert from "node:assert/strict";
import { browser, eventually, run, world } from "./support.mjs";

const { stage } = world;
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

await run(async (closing) => {
  const context = closing(await browser({ ...PHONE, colorScheme: "dark" }));
  const page = await context.newPage();
  const broken = [];
  page.on("pageerror", (error) => broken.push(String(error)));

  const isInView = (selector, on = page) =>
    on.evaluate((wanted) => {
      const box = document.querySelector(wanted)?.getBoundingClientRect();
      return box?.height > 0 && box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
    }, selector);
  const comesIntoView = (selector, on = page) => eventually(`${selector} is in view`, () => isInView(selector, on));
  const focus = (on = page) => on.evaluate(() => document.activeElement.id);
  const reads = (selector, text, on = page) =>
    eventually(`${selector} reads ${text}`, async () => (await on.textContent(selector)) === text);
  const fits = async (on = page) =>
    assert.ok(await on.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out");
  /** What came of it is told, is in view, and the focus is there. */
  const verdict = async (text, first) => {
    await reads("#tally", text);
    await comesIntoView("#tally");
    await comesIntoView(`${first} .answer`);
    assert.equal(await focus(), "story-title");
    await fits();
  };
  const signIn = async (bound) => {
    await page.setChecked("[name=bound]", bound);
    await page.focus("[name=password]");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#signed-in:visible");
    await eventually("the focus is at the account", async () => (await focus()) === "account-title");
    await comesIntoView("#account-title");
    await comesIntoView("#balance");
    assert.equal(await page.textContent("#balance"), "5,000", "a session begins with what there was");
    assert.equal(await page.textContent("#transfers"), "");
    assert.equal(await page.isVisible("#story"), false, "and without what was tried before");
    await fits();
  };
  const press = async (id) => {
    // With the button at the lower edge, where it was found, nothing below is in view by itself.
    await page.$eval(`#${id}`, (button) => button.scrollIntoView({ block: "end", behavior: "instant" }));
    assert.ok(!(await isInView("#tally")));
    await page.click(`#${id}`);
  };
  const opens = async (id) => {
    const [eve] = await Promise.all([context.waitForEvent("page"), press(id)]);
    eve.on("pageerror", (error) => broken.push(String(error)));
    await eve.waitForLoadState();
    return eve;
  };

  await context.addInitScript(() => {
    window.ethereum = { request: async () => Promise.reject(new Error("The wallet says no.")) };
  });
  await page.goto(`${stage.bank}/`);

  // What is refused is told where one pressed, and the focus stays.
  await page.fill("[name=password]", "another password");
  await page.focus("[name=password]");
  await page.$eval("[name=password]", (field) => field.scrollIntoView({ block: "end", behavior: "instant" }));
  await page.keyboard.press("Enter");
  await eventually("it is refused", () => page.isVisible("#problem"));
  await comesIntoView("#problem");
  assert.equal(await page.evaluate(() => document.activeElement.name), "password");
  await page.$eval("#wallet-signature", (button) => button.scrollIntoView({ block: "end", behavior: "instant" }));
  await page.click("#wallet-signature");
  await reads("#wallet-result", "The wallet says no.");
  await comesIntoView("#wallet-result");
  await page.fill("[name=password]", stage.password);

  await signIn(false);
  await press("transfer");
  await verdict("10 went to the cat shelter, and 4,990 are left.", ".attempt.yours");
  await page.click("#again");
  await comesIntoView("#attacks");
  await comesIntoView("#xss");

  // The script of the page.
  const thanks = await opens("xss");
  await thanks.waitForSelector("#after:not(:empty)");
  await comesIntoView("#after", thanks);
  await fits(thanks);
  await thanks.close();
  await reads("#tally", "Eve tried 5 times, and nothing opened.");
  await comesIntoView("#tally");
  await comesIntoView("#found");
  assert.equal(await focus(), "story-title");

  // Eve's page: the button that was pressed there is gone, too.
  for (const [id, tried] of [["csrf-site", 6], ["csrf-neighbour", 6], ["both-site", 2], ["both-neighbour", 2]]) {
    const eve = await opens(id);
    await comesIntoView("#go", eve);
    await eve.click("#go");
    await eventually("the focus is where the button was", async () => (await focus(eve)) === "list");
    await eve.waitForSelector("#after:not(:empty)");
    await comesIntoView("#after", eve);
    await fits(eve);
    await eve.close();
    await verdict(`Eve tried ${tried} times, and nothing opened.`, ".attempt:first-child");
  }

  // What was stolen is told, and given back before it is tried again.
  for (let time = 0; time < 2; time += 1) {
    await press("malware");
    await verdict("Eve tried 3 times, and all worked. You had 4,990, and have 4,890.", ".attempt.opened");
    assert.equal(await page.textContent("#balance"), "4,890");
  }
  await press("csrf-site");
  await reads("#balance", "4,990");
  assert.equal(await page.textContent("#transfers"), "10 to the cat shelter", "hers is undone, not one's own");

  // The other session begins as this one did.
  await page.click("#sign-out");
  await eventually("the focus is at the form", async () => (await focus()) === "form-title");
  await comesIntoView("#form-title");
  await comesIntoView("#submit");
  await signIn(true);
  await press("malware");
  await verdict("Eve tried 3 times, and nothing opened.", ".attempt:first-child");
  assert.equal(await page.textContent("#balance"), "5,000");

  // Whoever wants no motion sees none: it is there at once.
  await page.emulateMedia({ reducedMotion: "reduce" });
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior), "auto");
  await page.emulateMedia({ reducedMotion: "no-preference" });
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior), "smooth");
  assert.deepEqual(broken, []);
});
