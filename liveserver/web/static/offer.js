// What a listing's button says: one pure function from the room's state, so the button is never anything but
// the room's. Sold out is what the stock says; a hold and its countdown are the viewer's own.

/**
 * The offer of one item. `kind` is one of
 *   none       no sale has been opened          soon      opens in `leftMs`
 *   open       can be bought                    buying    asked, no answer yet
 *   checking   the answer is not known yet      reserved  held for me, to be paid within `leftMs`
 *   confirmed  mine, and the limit is reached   limit     my limit is used up in this sale
 *   soldOut    no unit left                     paused, frozen, closed   as the sale says
 *   queue      no unit left, but there is a line to stand in
 *   waiting    my place in that line, `ahead` others before me (null: not told yet)
 * `available` is the item's units left (null without a sale), `owned` is true once one of mine is confirmed.
 */
export function offerOf({ mirror, reservations, purchase, listingId, itemId, serverMs }) {
  const sale = mirror.saleOf(listingId);
  if (sale === null) return { kind: "none", sale: null, available: null, owned: false, leftMs: 0 };
  const stock = mirror.stock(sale.saleId) ?? sale.stock;
  const available = stock.available[itemId] ?? 0;
  const held = reservations.find(sale.saleId, itemId, "held");
  const isHeld = held !== null && held.expiresAtMs > serverMs;
  const confirmed = reservations.find(sale.saleId, itemId, "confirmed");
  const base = { sale, available, owned: confirmed !== null, reservation: isHeld ? held : confirmed };
  const of = (kind, leftMs = 0) => ({ ...base, kind, leftMs });
  const isOver = sale.detached || stock.status === "closed" || serverMs >= sale.closesAtMs;
  const waiting = isOver ? null : reservations.find(sale.saleId, itemId, "waiting");

  if (isHeld) return of("reserved", held.expiresAtMs - serverMs);
  if (waiting !== null) return { ...of("waiting"), reservation: waiting, ahead: waiting.ahead ?? null };
  if (purchase !== null) return of(purchase.uncertain ? "checking" : "buying");
  const isLimited = sale.limitPerUser > 0 && reservations.units(sale.saleId) >= sale.limitPerUser;
  if (confirmed !== null && isLimited) return of("confirmed");
  if (isOver) return of("closed");
  if (stock.status === "paused" || stock.status === "frozen") return of(stock.status);
  if (serverMs < sale.opensAtMs) return of("soon", sale.opensAtMs - serverMs);
  if (isLimited) return of("limit");
  if (available <= 0) return of(canQueue(sale, reservations) ? "queue" : "soldOut");
  return of("open", sale.closesAtMs - serverMs);
}

/** One place in line is for one unit, and the limit must have room for it and for the places I have. */
function canQueue(sale, reservations) {
  if (!(sale.waitlist > 0)) return false;
  const mine = reservations.units(sale.saleId) + reservations.places(sale.saleId).length;
  return !(sale.limitPerUser > 0) || mine < sale.limitPerUser;
}
