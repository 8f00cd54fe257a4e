// A set that forgets: by time, and the oldest first when it is full. Pure.

export class FadingSet {
  #untilMs = new Map(); // insertion order is the order of ending
  #keepMs;
  #most;

  constructor(keepMs, most) {
    this.#keepMs = keepMs;
    this.#most = most;
  }

  add(key, nowMs) {
    this.#untilMs.delete(key);
    if (this.#untilMs.size >= this.#most) this.#untilMs.delete(this.#untilMs.keys().next().value);
    this.#untilMs.set(key, nowMs + this.#keepMs);
  }

  holds(key, nowMs) {
    const untilMs = this.#untilMs.get(key);
    if (untilMs === undefined) return false;
    if (nowMs < untilMs) return true;
    this.#untilMs.delete(key);
    return false;
  }
}
