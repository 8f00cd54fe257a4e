// Price, stock and button of one listing, for the cart and for the pop-up card alike: both show the same
// offer (../offer.js), so they can't disagree.

import { countdown, day, yuan } from "../format.js";
import { offerOf } from "../offer.js";
import { words } from "../words.js";
import { button, el, setHidden, setText } from "./dom.js";

const FEW_LEFT = 10;

const TAKES_TAPS = new Set(["open", "queue"]);
const MAY_BE_GIVEN_BACK = new Set(["reserved", "waiting"]);

const LABEL = {
  none: () => words().buyNone,
  soon: ({ leftMs }) => words().buySoon(countdown(leftMs)),
  open: ({ owned }) => (owned ? words().buyMore : words().buyOpen),
  buying: () => words().buyBuying,
  checking: () => words().buyChecking,
  reserved: ({ leftMs }) => words().buyReserved(countdown(leftMs)),
  confirmed: () => words().buyConfirmed,
  limit: () => words().buyLimit,
  soldOut: () => words().buySoldOut,
  queue: () => words().buyQueue,
  waiting: ({ ahead }) => words().buyWaiting(ahead),
  paused: () => words().buyPaused,
  frozen: () => words().buyFrozen,
  closed: () => words().buyClosed,
};

export class OfferView {
  variants = el("div", "variants");
  price = el("p", "price");
  stock = el("p", "stock");
  terms = el("p", "terms");
  action = el("div", "action");
  #context;
  #chosen = ""; // item id; "" until the viewer has chosen one
  #listing = null;
  #amount = el("span", "amount");
  #bar = el("span", "stock-bar");
  #fill = el("span", "stock-fill");
  #stockText = el("span", "stock-text");
  #buy = button("buy", () => this.#onBuy());
  #giveBack = button("give-back", () => this.#onGiveBack());
  #book = button("book", () => this.#onBook());
  #offer = null;

  constructor(context) {
    this.#context = context;
    this.price.append(el("span", "yen", "¥"), this.#amount);
    this.#bar.append(this.#fill);
    this.stock.append(this.#bar, this.#stockText);
    this.action.append(this.#buy, this.#giveBack, this.#book);
    this.variants.setAttribute("role", "group");
  }

  update(listing) {
    this.#listing = listing;
    const { mirror, reservations, buying, bookings, serverMs } = this.#context();
    const sale = mirror.saleOf(listing.listingId);
    const item = this.#item(listing, mirror, sale);
    this.#updateVariants(listing, item, mirror, sale);
    const offer = offerOf({
      mirror,
      reservations,
      purchase: sale === null ? null : buying.of(sale.saleId, item.itemId),
      listingId: listing.listingId,
      itemId: item.itemId,
      serverMs,
    });
    this.#offer = { ...offer, itemId: item.itemId };
    setText(this.#amount, yuan(item.priceFen));
    this.#updateStock(offer, item);
    setText(this.terms, this.#terms(offer));
    setText(this.#buy, LABEL[offer.kind](offer));
    this.#buy.disabled = !TAKES_TAPS.has(offer.kind);
    if (this.#buy.dataset.kind !== offer.kind) this.#buy.dataset.kind = offer.kind;
    setHidden(this.#giveBack, !MAY_BE_GIVEN_BACK.has(offer.kind));
    setText(this.#giveBack, offer.kind === "waiting" ? words().leaveLine : words().giveBack);
    setHidden(this.#book, offer.kind !== "soon");
    const isBooked = sale !== null && bookings.has(sale.saleId, item.itemId);
    setText(this.#book, isBooked ? words().booked : words().book);
    this.#book.setAttribute("aria-pressed", String(isBooked));
  }

  /** The chosen item, else the first with stock, else the first. */
  #item(listing, mirror, sale) {
    const chosen = listing.items.find(({ itemId }) => itemId === this.#chosen);
    if (chosen !== undefined) return chosen;
    const available = sale === null ? {} : (mirror.stock(sale.saleId) ?? sale.stock).available;
    const { reservations } = this.#context();
    const having = (state) =>
      sale && listing.items.find(({ itemId }) => reservations.find(sale.saleId, itemId, state));
    return having("held") ?? having("waiting") ?? listing.items.find(({ itemId }) => available[itemId] > 0) ?? listing.items[0];
  }

  #updateVariants(listing, item, mirror, sale) {
    setHidden(this.variants, listing.items.length < 2);
    if (listing.items.length < 2) return;
    const wanted = listing.items.map(({ itemId, variant = "" }) => `${itemId} ${variant}`).join("\n");
    if (this.variants.dataset.shown !== wanted) {
      this.variants.dataset.shown = wanted;
      this.variants.replaceChildren(...listing.items.map((each) => this.#chip(each)));
    }
    const stock = sale === null ? null : (mirror.stock(sale.saleId) ?? sale.stock);
    for (const chip of this.variants.children) {
      const isChosen = chip.dataset.item === item.itemId;
      chip.setAttribute("aria-pressed", String(isChosen));
      chip.classList.toggle("gone", stock !== null && !(stock.available[chip.dataset.item] > 0));
    }
  }

  #chip({ itemId, variant = "" }) {
    const chip = button("variant", () => {
      this.#chosen = itemId;
      if (this.#listing !== null) this.update(this.#listing);
    });
    chip.dataset.item = itemId;
    chip.textContent = variant || itemId;
    return chip;
  }

  #updateStock({ available, kind }, item) {
    setHidden(this.stock, available === null || kind === "closed");
    if (available === null) return;
    const isFew = available > 0 && available <= FEW_LEFT;
    const text = available <= 0 ? words().noneLeft : isFew ? words().left(available) : words().stock(available);
    setText(this.#stockText, text);
    this.stock.classList.toggle("few", isFew);
    const share = Math.min(1, available / Math.max(1, item.stock ?? available, available));
    this.#fill.style.transform = `scaleX(${share})`;
  }

  #terms({ kind, sale, leftMs }) {
    const parts = [];
    if (sale !== null && sale.limitPerUser > 0 && kind !== "closed") parts.push(words().limit(sale.limitPerUser));
    if (sale?.shipsAtMs > 0 && kind !== "closed") parts.push(words().ships(day(sale.shipsAtMs)));
    if (kind === "queue" || kind === "waiting") parts.push(words().lineTerms);
    if (kind === "open") parts.push(words().endsIn(countdown(leftMs)));
    return parts.join(" · ");
  }

  #onBuy() {
    const { buy } = this.#context();
    if (!TAKES_TAPS.has(this.#offer?.kind)) return;
    buy(this.#offer.sale.saleId, this.#offer.itemId);
    this.update(this.#listing);
  }

  #onBook() {
    if (this.#offer?.kind !== "soon") return;
    this.#context().bookings.toggle(this.#offer.sale.saleId, this.#offer.itemId);
    this.update(this.#listing);
  }

  #onGiveBack() {
    const { release } = this.#context();
    if (MAY_BE_GIVEN_BACK.has(this.#offer?.kind)) release(this.#offer.reservation.reservationId);
  }
}
