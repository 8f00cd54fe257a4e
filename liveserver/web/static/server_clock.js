// The server's time as seen from here. Pure. The browser's copy of protocol/client/server_clock.py.
//
// Every message carries the server's time `t` of its making, so `t - now` is the true offset less that
// message's delay: of all samples the greatest is the least delayed. It is kept for one to two windows, so a
// drifting clock on either side is followed.

const WINDOW_MS = 5 * 60_000;

export class ServerClock {
  #best = null;
  #previous = null;
  #windowEndsMs = 0;

  /** A message made at `serverMs` arrived at `nowMs` of the local clock. */
  sample(serverMs, nowMs) {
    const offset = serverMs - nowMs;
    if (this.#best === null) {
      this.#best = offset;
      this.#windowEndsMs = nowMs + WINDOW_MS;
    } else if (nowMs >= this.#windowEndsMs) {
      this.#previous = this.#best;
      this.#best = offset;
      this.#windowEndsMs = nowMs + WINDOW_MS;
    } else if (offset > this.#best) {
      this.#best = offset;
    }
  }

  /** The server's time at local `nowMs`; the local time itself before the first message. */
  serverMs(nowMs) {
    if (this.#best === null) return nowMs;
    return nowMs + (this.#previous === null ? this.#best : Math.max(this.#best, this.#previous));
  }
}
