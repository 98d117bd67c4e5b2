/** How many requests may hold an unused handshake at once. */

/** The server keeps 8 for a session, and forgets the oldest for a ninth; another tab wants some too. */
const SLOTS = 4;
/** Milliseconds after which a handshake has long arrived, however slow the answer is. */
const ARRIVED = 2000;

export class Slots {
  #free = SLOTS;
  readonly #waiting: (() => void)[] = [];

  /** Runs `act` when a slot is free, and frees it when `act` is through or its handshake has arrived. */
  async hold<T>(act: (arriving: () => void) => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let timer: ReturnType<typeof setTimeout> | undefined;
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      clearTimeout(timer);
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    };
    try {
      return await act(() => void (timer = setTimeout(release, ARRIVED)));
    } finally {
      release();
    }
  }
}
