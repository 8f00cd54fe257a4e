// An automatic purchase at a sale's opening (预约). Pure. The browser's copy of protocol/client/booking.py: each
// booking draws its moment inside the window the server gives, once, so that not everybody buys in the same instant.

export class Bookings {
  #booked = new Map(); // "sale/item" -> {saleId, itemId, share}
  #random;

  /** `random` draws from [0, 1). */
  constructor(random) {
    this.#random = random;
  }

  has(saleId, itemId) {
    return this.#booked.has(`${saleId}/${itemId}`);
  }

  /** Book it, or take the booking back. */
  toggle(saleId, itemId) {
    const key = `${saleId}/${itemId}`;
    if (!this.#booked.delete(key)) this.#booked.set(key, { saleId, itemId, share: this.#random() });
  }

  /** Those whose moment has come; each is told once. `saleOf(saleId)` is the sale as it now is, or null. */
  due(saleOf, serverMs) {
    const due = [];
    for (const [key, { saleId, itemId, share }] of this.#booked) {
      const sale = saleOf(saleId);
      if (sale === null || waitMs(sale, share, serverMs) === null) this.#booked.delete(key);
      else if (waitMs(sale, share, serverMs) <= 0 && this.#booked.delete(key)) due.push({ saleId, itemId });
    }
    return due;
  }
}

/** Milliseconds until the moment; null: never, the sale is over. */
export function waitMs(sale, share, serverMs) {
  if (sale.detached || sale.stock.status === "closed" || serverMs >= sale.closesAtMs) return null;
  return Math.max(0, sale.opensAtMs + share * (sale.spreadMs ?? 0) - serverMs);
}
