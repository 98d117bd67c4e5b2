// What tabs of one browser share: a local storage that tells the others, cookies, and kept keys.

import { createClient } from "../../dist/index.js";

export class Browser {
  items = new Map();
  cookies = new Map();
  keys = new Map();
  #tabs = [];

  constructor(server) {
    this.server = server;
  }

  /** A page of its own: another tab's changes reach it as events, its own do not. */
  tab(options = {}) {
    const events = new EventTarget();
    const tell = (key, newValue) => {
      for (const other of this.#tabs) {
        if (other !== events) other.dispatchEvent(Object.assign(new Event("storage"), { key, newValue }));
      }
    };
    this.#tabs.push(events);
    const storage = {
      getItem: (key) => this.items.get(key) ?? null,
      setItem: (key, value) => void (this.items.set(key, value), tell(key, value)),
      removeItem: (key) => void (this.items.delete(key), tell(key, null)),
      clear: () => void (this.items.clear(), tell(null, null)),
    };
    const changes = [];
    const client = createClient({
      origin: this.server.origin,
      fetch: (...request) => this.fetch(...request),
      keys: this.keyStore,
      storage,
      events,
      ...options,
    });
    client.onChange((state) => changes.push(state));
    return Object.assign(Object.create(client), { changes, storage });
  }

  /** Where the half is, and what it is. */
  get half() {
    return this.items.get(`countersign:${this.server.origin}`);
  }

  set half(half) {
    this.items.set(`countersign:${this.server.origin}`, half);
  }

  get keyStore() {
    return {
      get: async (name) => this.keys.get(name),
      put: async (name, key) => this.keys.set(name, key),
      delete: async (name) => this.keys.delete(name),
    };
  }

  /** As browsers do it: cookies by origin, sent where `credentials` says so. */
  async fetch(input, init) {
    const request = new Request(input, init);
    const { origin } = new URL(request.url);
    const headers = new Headers(request.headers);
    if (request.credentials === "include" && this.cookies.has(origin)) headers.set("Cookie", this.cookies.get(origin));
    const response = await fetch(new Request(request, { headers }));
    const cookie = response.headers.get("Set-Cookie");
    if (cookie && /; Max-Age=0\b/.test(cookie)) this.cookies.delete(origin);
    else if (cookie) this.cookies.set(origin, cookie.split(";")[0]);
    return response;
  }
}

export const ANN = { email: "ann@example.com", password: "correct horse battery" };
