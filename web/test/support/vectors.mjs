// The vectors that the Rust tests read too.

import { readFileSync } from "node:fs";

export const vectors = (name) =>
  JSON.parse(readFileSync(new URL(`../../../vectors/${name}.json`, import.meta.url), "utf8"));
