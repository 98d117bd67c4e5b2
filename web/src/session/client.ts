/** A browser's session: its life, and a `fetch` that proves it. */

import { Prover, generateProofKey, sendProved } from "../dpop/prover.js";
import { CountersignError, unexpected } from "../error.js";
import { originOf, type Fetch } from "../outgoing.js";
import {
  Halves,
  isHalf,
  memoryStorage,
  type HalfStorage,
  type SessionState,
  type StorageEvents,
} from "./half.js";
import { indexedDbKeys, type KeyStore } from "./keys.js";
import { Sender, type HandshakeUse } from "./send.js";

export interface ClientOptions {
  /** The API's origin; the page's own unless said otherwise. Nobody else ever gets a proof. */
  origin?: string;
  /** Where the token half is kept: `localStorage`, or the page's memory where there is none. */
  storage?: HalfStorage;
  /** Binds sessions to a key that no script can read. Routes with `key_bound = true` take no other. */
  keyBound?: boolean;
  /** Which requests carry a handshake from the start; as the server's configuration says. */
  handshake?: HandshakeUse;
  /** Where the keys of key-bound sessions are kept: IndexedDB. */
  keys?: KeyStore;
  /** Who tells of other tabs: the window. */
  events?: StorageEvents;
  fetch?: Fetch;
  /** Milliseconds since 1970. */
  now?: () => number;
}

export interface User {
  email: string;
  name: string;
}

/** One of a user's sessions, as the server lists it. */
export interface SessionInfo {
  id: string;
  [member: string]: unknown;
}

export interface Client {
  readonly origin: string;
  /** Whether there is a session, as far as is known here. */
  readonly signedIn: boolean;
  signUp(account: { email: string; name: string; password: string }): Promise<void>;
  signIn(credentials: { email: string; password: string }): Promise<void>;
  /** Ends the session, in every tab; here also if the server cannot be reached, which is thrown. */
  signOut(): Promise<void>;
  /** Who is signed in; `null`: nobody. */
  whoami(): Promise<User | null>;
  sessions(): Promise<SessionInfo[]>;
  endSession(id: string): Promise<void>;
  /**
   * `fetch` with the session's proof, for the API's origin alone; relative URLs are relative to it.
   * What Countersign denies is thrown as `CountersignError`; every other answer is given back.
   */
  fetch: Fetch;
  /** Calls `listener` whenever a session begins or ends, in any tab; gives what stops that. */
  onChange(listener: (state: SessionState) => void): () => void;
  /**
   * What a WebSocket offers as subprotocols, behind the application's own, to prove the session.
   * A key-bound session's proof is for one address, `url`.
   */
  webSocketProtocols(url?: string | URL): Promise<string[]>;
}

/** The browser's own, unless it forbids them or this is no browser. */
function localStorageOrMemory(): HalfStorage {
  try {
    return globalThis.localStorage ?? memoryStorage();
  } catch {
    return memoryStorage();
  }
}

export function createClient(options: ClientOptions = {}): Client {
  const origin = originOf(options.origin ?? globalThis.location.origin);
  const now = options.now ?? Date.now;
  const keys = options.keyBound ? (options.keys ?? indexedDbKeys()) : undefined;
  const storage = options.storage ?? localStorageOrMemory();
  const halves = new Halves(`countersign:${origin}`, storage, options.events ?? globalThis);
  const sender = new Sender({
    origin,
    fetch: options.fetch ?? ((...request) => globalThis.fetch(...request)),
    halves,
    handshake: options.handshake ?? "unsafe-methods",
    ...(keys ? { keys } : {}),
    now,
  });
  const client: Client["fetch"] = async (input, init) => sender.send(sender.request(input, init));

  /** Sends JSON to where nobody needs to be signed in. */
  const post = async (path: string, body: unknown, prover?: Prover): Promise<Response> => {
    const headers = { "Content-Type": "application/json" };
    const request = sender.request(path, { method: "POST", headers, body: JSON.stringify(body) });
    const response = await sendProved(request, request.headers, prover);
    if (!response.ok) throw await unexpected(response);
    return response;
  };
  const expect = async (path: string, init?: RequestInit): Promise<Response> => {
    const response = await client(path, init);
    if (!response.ok) throw await unexpected(response);
    return response;
  };

  return {
    origin,
    get signedIn() {
      return halves.read() !== null;
    },
    fetch: client,
    onChange: (listener) => halves.onChange(listener),

    async signUp({ email, name, password }) {
      await post("/auth/signup", { email, name, password });
    },

    async signIn({ email, password }) {
      // Another key for each session: no session outlives another's key.
      const key = keys && (await generateProofKey());
      const prover = key && new Prover(key, now);
      const response = await post("/auth/signin", { email, password }, prover);
      const half = (await response.text()).trim();
      if (!isHalf(half)) throw new CountersignError(response.status, "unexpected_answer", "not a token half");
      if (key && prover) {
        // First the key: whoever sees the half finds it.
        await keys.put(origin, key);
        sender.bind(half, prover);
      }
      halves.keep(half);
    },

    async signOut() {
      const half = halves.read();
      if (half === null) return;
      try {
        const request = sender.request("/auth/signout", { method: "POST" });
        const response = await sender.send(request, false);
        if (!response.ok) throw await unexpected(response);
      } catch (error) {
        // One that has ended is what was asked for.
        if (halves.read() === half) throw error;
      } finally {
        if (halves.forget(half, "signed-out")) await keys?.delete(origin);
      }
    },

    async whoami() {
      if (halves.read() === null) return null;
      try {
        return (await (await expect("/auth/whoami")).json()) as User;
      } catch (error) {
        if (halves.read() === null) return null;
        throw error;
      }
    },

    async sessions() {
      return (await (await expect("/auth/sessions")).json()) as SessionInfo[];
    },

    async endSession(id) {
      await expect(`/auth/sessions/${encodeURIComponent(id)}`, { method: "DELETE" });
    },

    async webSocketProtocols(url) {
      const half = halves.read();
      if (half === null) return [];
      const protocols = [`countersign.half.${half}`];
      const prover = await sender.proverOf(half);
      if (prover) {
        if (url === undefined) throw new TypeError("a key-bound session proves one address: give the URL");
        const address = new URL(url, origin);
        address.protocol = address.protocol.replace("ws", "http");
        if (address.origin !== origin) throw new TypeError(`only ${origin} gets proofs, not ${address.origin}`);
        protocols.push(`countersign.dpop.${await prover.proof("GET", address, half)}`);
      } else if (sender.wantsHandshake("CONNECT")) {
        // An upgrade counts as unsafe, though HTTP/1.1 writes it as a GET.
        protocols.push(`countersign.handshake.${await sender.handshake()}`);
      }
      return protocols;
    },
  };
}
