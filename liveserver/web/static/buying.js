// One purchase from the tap to a certain answer. Pure but for the two functions it is given.
//
// An answer that is not certain (`pending`, or none in time) is never shown as a result: the same command,
// with the same id and `attempt` raised, is asked again until the truth is known or ASKS_MAX is reached. In the
// same way whoever waits in line learns his present place.

const ASKS_MAX = 20;
const ASK_AGAIN_MS = 700; // Guess: a store that stalls for a moment answers the first or second time

export class Buying {
  #open = new Map(); // "sale/item" -> {id, fields, asks, uncertain, askAtMs}
  #command;
  #settle;

  /**
   * `command(type, fields, id?)` sends and returns the id ("" if it was not taken);
   * `settle(outcome, again)` is told each end: a PurchaseOutcome, or {outcome: "unknown" | "notSent" | error code};
   * `again` is true of one that was asked about, not made.
   */
  constructor({ command, settle }) {
    this.#command = command;
    this.#settle = settle;
  }

  of(saleId, itemId) {
    return this.#open.get(`${saleId}/${itemId}`) ?? null;
  }

  start(room, saleId, itemId) {
    this.#ask(`${saleId}/${itemId}`, { room, saleId, lines: [{ itemId, quantity: 1 }], attempt: 0 });
  }

  /** What has become of this purchase of mine? */
  again(room, { saleId, lines, commandId }) {
    this.#ask(`${saleId}/${lines[0].itemId}`, { room, saleId, lines, attempt: 1 }, commandId);
  }

  #ask(key, fields, known) {
    if (this.#open.has(key)) return;
    const again = known !== undefined;
    const id = this.#command("purchase", fields, known);
    if (id !== "") this.#open.set(key, { id, fields, asks: 1 + fields.attempt, uncertain: false, askAtMs: null, again });
    else this.#settle({ outcome: "notSent" }, again);
  }

  /** A reply to one of ours. True if it was. */
  answered(commandId, reply, nowMs) {
    const [key, purchase] = this.#find(commandId);
    if (purchase === null) return false;
    const uncertain = reply.type === "error" ? reply.code === "pending" : reply.outcome === "pending";
    if (uncertain) {
      this.#askAgain(key, purchase, nowMs + Math.max(reply.retryMs ?? 0, ASK_AGAIN_MS));
    } else {
      this.#open.delete(key);
      this.#settle(reply.type === "error" ? { outcome: reply.code, detail: reply.detail } : reply, purchase.again);
    }
    return true;
  }

  /** No reply will come. True if it was one of ours. */
  unknown(commandId, nowMs) {
    const [key, purchase] = this.#find(commandId);
    if (purchase === null) return false;
    this.#askAgain(key, purchase, nowMs);
    return true;
  }

  tick(nowMs) {
    for (const purchase of this.#open.values()) {
      if (purchase.askAtMs === null || purchase.askAtMs > nowMs) continue;
      purchase.asks += 1;
      purchase.fields = { ...purchase.fields, attempt: purchase.asks - 1 };
      const sent = this.#command("purchase", purchase.fields, purchase.id) !== "";
      purchase.askAtMs = sent ? null : nowMs + ASK_AGAIN_MS;
    }
  }

  #find(commandId) {
    for (const [key, purchase] of this.#open) if (purchase.id === commandId) return [key, purchase];
    return ["", null];
  }

  #askAgain(key, purchase, atMs) {
    purchase.uncertain = true;
    purchase.askAtMs = atMs;
    if (purchase.asks < ASKS_MAX) return;
    this.#open.delete(key);
    this.#settle({ outcome: "unknown" }, purchase.again);
  }
}
