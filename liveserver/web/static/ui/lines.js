// How many comments fit over the picture without one covering another: each flying one keeps a line busy
// until its end has come in and the next can't catch up. Pure. An estimate on the safe side; who draws them,
// and where, is the library's business.

const CATCH_UP = 1.35; // a longer comment flies faster: leave it room behind a shorter one
const GAP_PX = 40;

export class Lines {
  #freeAtMs = [];
  #stagePx = 0;
  #crossingMs = 0;

  resize(lines, stagePx, speedPxPerS) {
    this.#freeAtMs = Array.from({ length: Math.max(0, lines) }, (_, line) => this.#freeAtMs[line] ?? 0);
    this.#stagePx = stagePx;
    this.#crossingMs = (stagePx / speedPxPerS) * 1_000;
  }

  /** True, and a line is taken, if one is free for a comment this wide. */
  take(textPx, nowMs) {
    const line = this.#freeAtMs.findIndex((freeAtMs) => freeAtMs <= nowMs);
    if (line < 0) return false;
    const share = (textPx + GAP_PX) / (this.#stagePx + textPx);
    this.#freeAtMs[line] = nowMs + Math.min(1, share * CATCH_UP) * this.#crossingMs;
    return true;
  }
}
