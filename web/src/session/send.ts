/** Sends requests with all that proves a session, and notices when there is no session any more. */

import { Prover, sendProved } from "../dpop/prover.js";
import { CountersignError, denialIn, unexpected } from "../error.js";
import { outgoing, type Fetch, type Outgoing } from "../outgoing.js";
import type { Halves } from "./half.js";
import type { KeyStore } from "./keys.js";
import { Slots } from "./slots.js";

/** Which requests carry a handshake before the server asks for one. */
export type HandshakeUse = "always" | "unsafe-methods" | "never";

/** What says that the halves open nothing any more. */
const ENDED = new Set(["proof_half", "proof_mismatch"]);
/** What another handshake mends. */
const HANDSHAKE = new Set(["handshake_missing", "handshake_used"]);

export interface Sending {
  origin: string;
  fetch: Fetch;
  halves: Halves;
  handshake: HandshakeUse;
  /** Where the key of a key-bound session is; absent, no session is key-bound. */
  keys?: KeyStore;
  now: () => number;
}

export class Sender {
  readonly #with: Sending;
  readonly #slots = new Slots();
  #prover?: { half: string; prover: Prover };

  constructor(sending: Sending) {
    this.#with = sending;
  }

  request(input: RequestInfo | URL, init?: RequestInit): Outgoing {
    // The cookie goes to other origins of the same site too.
    return outgoing(this.#with.origin, this.#with.fetch, "include", input, init);
  }

  /** Whether a request takes a handshake, a key-bound session having something better. */
  wantsHandshake(method: string): boolean {
    const { handshake, keys } = this.#with;
    if (keys || handshake === "never") return false;
    return handshake === "always" || !/^(GET|HEAD|OPTIONS)$/.test(method);
  }

  /** Uses this prover for this half from now on. */
  bind(half: string, prover: Prover): void {
    this.#prover = { half, prover };
  }

  /** The prover of a key-bound session's half. Without its key the half is worth nothing, and is forgotten. */
  async proverOf(half: string): Promise<Prover | undefined> {
    const { keys, halves, origin, now } = this.#with;
    if (!keys) return undefined;
    if (this.#prover?.half !== half) {
      const key = await keys.get(origin);
      if (!key) {
        halves.forget(half, "ended");
        throw new CountersignError(401, "proof_half", "This browser has lost the session's key.");
      }
      this.bind(half, new Prover(key, now));
    }
    return this.#prover?.prover;
  }

  /**
   * Sends a request with the session's proof. Denials are thrown; all else is the application's answer.
   * What another handshake or another tab's newer session mends is sent once more, if its body can be.
   */
  async send(request: Outgoing, withHandshake = this.wantsHandshake(request.method)): Promise<Response> {
    const { halves } = this.#with;
    for (let attempt = 1; ; attempt++) {
      const half = halves.read();
      const response =
        half === null
          ? await request.send(request.headers)
          : await this.#attempt(request, half, withHandshake);
      const denial = await denialIn(response);
      if (!denial) return response;
      const ended = half !== null && ENDED.has(denial.code);
      const isNewer = ended && halves.read() !== null && halves.read() !== half;
      const asks = half !== null && HANDSHAKE.has(denial.code) && !this.#with.keys;
      if (attempt > 1 || request.once || !(asks || isNewer)) {
        if (ended) halves.forget(half, "ended");
        throw denial;
      }
      withHandshake ||= asks;
    }
  }

  /** A new handshake for this session; it counts for a minute, and once. */
  async handshake(signal?: AbortSignal): Promise<string> {
    const init = { method: "POST", ...(signal ? { signal } : {}) };
    const response = await this.send(this.request("/auth/handshake", init), false);
    if (!response.ok) throw await unexpected(response);
    return (await response.text()).trim();
  }

  async #attempt(request: Outgoing, half: string, withHandshake: boolean): Promise<Response> {
    const headers = new Headers(request.headers);
    headers.set("Authorization", `Bearer ${half}`);
    if (!withHandshake) return sendProved(request, headers, await this.proverOf(half), half);
    return this.#slots.hold(async (arriving) => {
      headers.set("Handshake", await this.handshake(request.signal));
      arriving();
      return request.send(headers);
    });
  }
}
