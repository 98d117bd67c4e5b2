// What is published: small, without dependencies, with types, and silent.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

const web = new URL("..", import.meta.url);
const read = (path) => readFileSync(new URL(path, web), "utf8");

test("the browser's part is under 8 kB", (context) => {
  const size = gzipSync(read("dist/countersign.min.js"), { level: 9 }).length;
  context.diagnostic(`${size} bytes`);
  assert.ok(size < 8000, `${size} bytes`);
});

test("the demonstration of sessions serves this very bundle", () => {
  const served = "../crates/demo/src/session/pages/countersign.min.js";
  const same = read(served) === read("dist/countersign.min.js");
  assert.ok(same, "cp web/dist/countersign.min.js crates/demo/src/session/pages/");
});

test("nothing is needed at run time, and the types are there", () => {
  const manifest = JSON.parse(read("package.json"));
  assert.deepEqual([manifest.dependencies, manifest.peerDependencies], [undefined, undefined]);
  for (const { types, default: code } of Object.values(manifest.exports)) {
    assert.ok(existsSync(new URL(types, web)) && existsSync(new URL(code, web)));
  }
});

test("the lockfile names no registry", () => {
  assert.doesNotMatch(read("package-lock.json"), /"resolved"/);
});

test("the sources print nothing and run no text, and each file is one idea", () => {
  const sources = readdirSync(new URL("src", web), { recursive: true }).filter((name) => name.endsWith(".ts"));
  assert.ok(sources.length > 15);
  for (const name of sources) {
    const source = read(`src/${name}`);
    assert.doesNotMatch(source, /\bconsole\b|\bdocument\.cookie\b|\binnerHTML\b|\beval\b/, name);
    assert.ok(source.split("\n").length < 350, name);
  }
});
