// When whoever stands in line asks for his place again. Pure. A place is told in answer to a purchase alone, so it
// is the same purchase asked again: seldom, and each at moments of its own, since thousands may wait together.

const FIRST_WITHIN_MS = 3_000; // of a place that came without its number: the page was loaded again
const EVERY_MS = 30_000; // Guess: and as much again at most

export class Places {
  #dueMs = new Map(); // reservation id -> when it is asked about next
  #random;

  /** `random` draws from [0, 1). */
  constructor(random) {
    this.#random = random;
  }

  /** Those of `waiting` whose moment has come; each is told once, and drawn anew. */
  due(waiting, nowMs) {
    const present = new Set(waiting.map(({ reservationId }) => reservationId));
    for (const id of this.#dueMs.keys()) if (!present.has(id)) this.#dueMs.delete(id);
    const due = [];
    for (const place of waiting) {
      const id = place.reservationId;
      const atMs = this.#dueMs.get(id);
      if (atMs === undefined && place.ahead === null) {
        this.#dueMs.set(id, nowMs + this.#random() * FIRST_WITHIN_MS);
      } else if (atMs === undefined || atMs <= nowMs) {
        this.#dueMs.set(id, nowMs + (1 + this.#random()) * EVERY_MS);
        if (atMs !== undefined) due.push(place);
      }
    }
    return due;
  }
}
