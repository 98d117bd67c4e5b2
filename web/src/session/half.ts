/** Where the token half is kept, and how all tabs of a browser learn that it came or went. */

/** What happened last: `ended` is a session that the server no longer knows. */
export type Reason = "signed-in" | "signed-out" | "ended";

export interface SessionState {
  signedIn: boolean;
  reason: Reason;
}

/** What of `localStorage` is needed. */
export type HalfStorage = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** Who tells of other tabs' changes: a window, by its `storage` events. */
export type StorageEvents = Pick<EventTarget, "addEventListener">;

/** For as long as the page lives. */
export function memoryStorage(): HalfStorage {
  const items = new Map<string, string>();
  return {
    getItem: (name) => items.get(name) ?? null,
    setItem: (name, value) => void items.set(name, value),
    removeItem: (name) => void items.delete(name),
  };
}

/** 256 bits as base64url: nothing else is put into a header. */
export const isHalf = (text: string | null): text is string => text !== null && /^[\w-]{43}$/.test(text);

/** The half of one origin's session. It is read anew each time: another tab may have changed it. */
export class Halves {
  readonly #listeners = new Set<(state: SessionState) => void>();

  constructor(
    readonly name: string,
    readonly storage: HalfStorage,
    events?: StorageEvents,
  ) {
    events?.addEventListener?.("storage", (event) => {
      const { key } = event as StorageEvent;
      // Without a key, everything was cleared.
      if (key !== name && key !== null) return;
      const signedIn = this.read() !== null;
      this.#tell({ signedIn, reason: signedIn ? "signed-in" : "signed-out" });
    });
  }

  read(): string | null {
    const half = this.storage.getItem(this.name);
    return isHalf(half) ? half : null;
  }

  keep(half: string): void {
    this.storage.setItem(this.name, half);
    this.#tell({ signedIn: true, reason: "signed-in" });
  }

  /** Forgets `half`, unless another session has taken its place by now; whether it did. */
  forget(half: string, reason: Reason): boolean {
    if (this.read() !== half) return false;
    this.storage.removeItem(this.name);
    this.#tell({ signedIn: false, reason });
    return true;
  }

  onChange(listener: (state: SessionState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(state: SessionState): void {
    for (const listener of [...this.#listeners]) listener(state);
  }
}
