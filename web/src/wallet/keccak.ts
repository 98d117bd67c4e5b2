/** Keccak-256 as Ethereum uses it: what stood before FIPS 202 changed the padding. */

import { type Bytes } from "../encoding.js";

const RATE = 136;
const MASK = (1n << 64n) - 1n;
const rotate = (lane: bigint, by: number): bigint => ((lane << BigInt(by)) | (lane >> BigInt(64 - by))) & MASK;

/** Keccak-f[1600] on 25 lanes of 64 bits, with constants made as the specification makes them. */
function permute(lanes: bigint[]): void {
  let register = 1;
  for (let round = 0; round < 24; round++) {
    const columns = [0, 1, 2, 3, 4].map((x) => [0, 5, 10, 15, 20].reduce((sum, y) => sum ^ lanes[x + y]!, 0n));
    for (let at = 0; at < 25; at++) lanes[at]! ^= columns[(at + 4) % 5]! ^ rotate(columns[(at + 1) % 5]!, 1);

    let [x, y, moving] = [1, 0, lanes[1]!];
    for (let step = 1; step <= 24; step++) {
      [x, y] = [y, (2 * x + 3 * y) % 5];
      const at = x + 5 * y;
      [moving, lanes[at]] = [lanes[at]!, rotate(moving, ((step * (step + 1)) / 2) % 64)];
    }

    for (let y = 0; y < 25; y += 5) {
      const row = lanes.slice(y, y + 5);
      for (let x = 0; x < 5; x++) lanes[y + x] = row[x]! ^ (~row[(x + 1) % 5]! & row[(x + 2) % 5]! & MASK);
    }

    for (let bit = 0; bit < 7; bit++) {
      if (register & 1) lanes[0]! ^= 1n << BigInt(2 ** bit - 1);
      register = register & 0x80 ? (register << 1) ^ 0x171 : register << 1;
    }
  }
}

export function keccak256(message: Uint8Array): Bytes {
  const padded = new Uint8Array(message.length + RATE - (message.length % RATE));
  padded.set(message);
  padded[message.length]! ^= 1;
  padded[padded.length - 1]! ^= 0x80;
  const lanes = Array<bigint>(25).fill(0n);
  const view = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += RATE) {
    for (let lane = 0; lane < RATE / 8; lane++) lanes[lane]! ^= view.getBigUint64(at + 8 * lane, true);
    permute(lanes);
  }
  const hash = new DataView(new ArrayBuffer(32));
  for (let lane = 0; lane < 4; lane++) hash.setBigUint64(8 * lane, lanes[lane]!, true);
  return new Uint8Array(hash.buffer);
}
