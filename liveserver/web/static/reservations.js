// What the viewer has bought or holds, from `me`, purchase outcomes, replies and notices. Pure.
//
// Invariant: a reservation that has ended is never shown as held again, whatever comes late.

const KEPT_MAX = 256;
const RANK = { waiting: -1, held: 0, released: 1, expired: 1, confirmed: 2, refund_due: 3, returned: 3 };

export class Reservations {
  #byId = new Map();

  /** `ahead` is told with the answer to a purchase only: else the last one told stays. */
  offer(reservation, ahead = null) {
    const known = this.#byId.get(reservation.reservationId);
    if (known !== undefined && RANK[reservation.state] < RANK[known.state]) return;
    this.#byId.delete(reservation.reservationId);
    this.#byId.set(reservation.reservationId, { ...reservation, ahead: ahead ?? known?.ahead ?? null });
    if (this.#byId.size > KEPT_MAX) this.#byId.delete(this.#byId.keys().next().value);
  }

  get(reservationId) {
    return this.#byId.get(reservationId) ?? null;
  }

  /** Mine of this sale, the latest last. */
  of(saleId) {
    return [...this.#byId.values()].filter((each) => each.saleId === saleId);
  }

  /** Units held and confirmed in this sale: what its limit counts. */
  units(saleId) {
    const counts = this.of(saleId).filter(({ state }) => state === "held" || state === "confirmed");
    const lines = counts.flatMap((each) => each.lines);
    return lines.reduce((sum, line) => sum + (line.quantity ?? 1), 0);
  }

  /** My places in the line of this sale; of all sales without one. */
  places(saleId = null) {
    const waiting = [...this.#byId.values()].filter(({ state }) => state === "waiting");
    return saleId === null ? waiting : waiting.filter((each) => each.saleId === saleId);
  }

  /** The latest of mine in `state` that holds this item, or null. */
  find(saleId, itemId, state) {
    const holds = (each) => each.state === state && each.lines.some((line) => line.itemId === itemId);
    return this.of(saleId).filter(holds).at(-1) ?? null;
  }
}
