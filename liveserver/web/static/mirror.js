// A room as this client knows it, purely from its frames. No socket, no DOM, time is an argument. The
// browser's copy of protocol/client/mirror.py, and it yields the same happenings.
//
// What holds always:
// - everything up to (epoch, offset) is applied, each critical event once and in order; an event that does
//   not follow is never applied: apply() says "gapFound" and stays where it was;
// - stock never goes back in (epoch, seq), counts never in version, whatever order frames come in;
// - a deleted comment, or one of a muted user, is not shown should it still come.
//
// It does not know connections, commands or numbering: that is session.js.

import { FadingSet } from "./fading.js";

const TOMBSTONE_MS = 60_000; // how long a deleted comment is refused should it still come
const TOMBSTONES_MAX = 1_024;
const LOOSE_STOCK_MAX = 512; // stock of sales whose opening is not known (yet)
const MUTED_MAX = 4_096;
const CLOSED_SALES_MAX = 50; // the longest closed go, as at the server

const notNewer = (a, b) => a.epoch < b.epoch || (a.epoch === b.epoch && a.seq <= b.seq);

export class Mirror {
  epoch = null; // null: nothing is known yet
  offset = 0;
  status = "live";
  explaining = ""; // listing id
  muted = new Map(); // user id -> until, server's milliseconds
  viewers = null;
  likes = null;
  #listings = new Map(); // in the cart's order
  #sales = new Map(); // as announced; the units left are in #stock
  #closed = []; // ids of closed sales, the longest closed first
  #stock = new Map();
  #viewersVersion = 0;
  #likesVersion = 0;
  #deleted = new FadingSet(TOMBSTONE_MS, TOMBSTONES_MAX);

  constructor(room) {
    this.room = room;
  }

  // -- reading ----------------------------------------------------------------------------------------------

  /** The cart, in its order. */
  listings() {
    return [...this.#listings.values()];
  }

  listing(listingId) {
    return this.#listings.get(listingId) ?? null;
  }

  sale(saleId) {
    return this.#sales.get(saleId) ?? null;
  }

  /** The newest stock heard of, even before the sale's own opening was. */
  stock(saleId) {
    return this.#stock.get(saleId) ?? null;
  }

  /** A sale with its newest stock, or null. */
  sale(saleId) {
    const sale = this.#sales.get(saleId);
    return sale === undefined ? null : { ...sale, stock: this.#stock.get(saleId) ?? sale.stock };
  }

  /** The sale a listing's button is about: the last opened; a closed one only where there is no other. */
  saleOf(listingId) {
    let found = null;
    for (const sale of this.#sales.values()) {
      if (sale.listingId !== listingId) continue;
      if (found === null || this.#isOpenerThan(sale, found)) found = sale;
    }
    return found;
  }

  #isOpenerThan(sale, other) {
    const closed = (one) => one.detached || this.#stock.get(one.saleId)?.status === "closed";
    return closed(other) || !closed(sale);
  }

  /** What is known, in the wire's own shape (without recent comments, which are not kept). */
  snapshot() {
    return {
      offset: this.offset,
      status: this.status,
      listings: this.listings(),
      explaining: this.explaining,
      sales: [...this.#sales.values()].map((sale) => ({ ...sale, stock: this.#stock.get(sale.saleId) })),
      muted: Object.fromEntries(this.muted),
    };
  }

  // -- frames -----------------------------------------------------------------------------------------------

  /** The happenings in it. `nowMs` is the local clock, for tombstones alone. */
  apply(frame, nowMs) {
    const happenings = [];
    const epoch = frame.epoch ?? 0;
    const say = (happening, fields) => happenings.push({ happening, room: this.room, ...fields });
    if (frame.snapshot !== undefined && this.#takeSnapshot(epoch, frame.snapshot)) {
      say("snapshotted", { epoch, snapshot: frame.snapshot });
    }
    for (const envelope of frame.critical ?? []) {
      if (this.epoch === null || epoch < this.epoch) break; // before our first snapshot, or of a life that is over
      if (epoch === this.epoch && envelope.offset <= this.offset) continue; // an overlap
      if (epoch > this.epoch || envelope.offset > this.offset + 1) {
        say("gapFound", { epoch, expected: this.offset + 1, got: envelope.offset });
        break;
      }
      this.#takeEvent(envelope, frame.t, nowMs);
      say("happened", { epoch, envelope });
    }
    const changed = frame.state === undefined ? null : this.#takeState(frame.state);
    if (changed !== null) say("stateChanged", changed);
    if (frame.danmaku !== undefined) say("danmakuShown", this.#shown(frame.danmaku, frame.t, nowMs));
    return happenings;
  }

  #takeSnapshot(epoch, snapshot) {
    const older =
      this.epoch !== null &&
      (epoch < this.epoch || (epoch === this.epoch && snapshot.offset < this.offset));
    for (const sale of snapshot.sales ?? []) this.#takeStock(sale.stock);
    if (older) return false;
    this.epoch = epoch;
    this.offset = snapshot.offset;
    this.status = snapshot.status ?? "live";
    this.explaining = snapshot.explaining ?? "";
    this.#listings = new Map((snapshot.listings ?? []).map((each) => [each.listingId, each]));
    this.#sales = new Map((snapshot.sales ?? []).map((each) => [each.saleId, each]));
    this.#closed = [...this.#sales.values()]
      .filter(({ stock, detached }) => detached || stock.status === "closed")
      .map(({ saleId }) => saleId);
    this.muted = new Map(Object.entries(snapshot.muted ?? {}));
    return true;
  }

  #takeEvent(envelope, serverMs, nowMs) {
    this.offset = envelope.offset;
    const event = envelope.event;
    switch (event.type) {
      case "listingPublished":
      case "listingUpdated": // a known one keeps its place
        this.#listings.set(event.listing.listingId, event.listing);
        break;
      case "listingWithdrawn":
        this.#listings.delete(event.listingId);
        if (this.explaining === event.listingId) this.explaining = "";
        break;
      case "cartOrdered":
        this.#order(event.listingIds);
        break;
      case "explainingStarted":
        this.explaining = event.listingId;
        break;
      case "explainingStopped":
        this.explaining = "";
        break;
      case "saleOpened":
        this.#closed = this.#closed.filter((saleId) => saleId !== event.sale.saleId); // it had been detached
        this.#sales.set(event.sale.saleId, event.sale);
        this.#takeStock(event.sale.stock);
        break;
      case "saleSoldOut":
      case "saleRestocked":
        this.#mark(event.stock, event.type === "saleSoldOut");
        break;
      case "saleClosed":
        this.#close(event.stock);
        break;
      case "saleDetached":
        this.#detach(event.saleId);
        break;
      case "danmakuDeleted":
        this.#deleted.add(event.danmakuId, nowMs);
        break;
      case "userMuted":
        this.#mute(event.userId, event.untilMs, serverMs);
        break;
      case "roomStatus":
        this.status = event.status;
        break;
      default: // an event newer than this page: its offset counts, its meaning is for newer pages
    }
  }

  #order(listingIds) {
    const rest = this.#listings;
    const named = listingIds.filter((id) => rest.has(id));
    const others = [...rest.keys()].filter((id) => !named.includes(id));
    this.#listings = new Map([...named, ...others].map((id) => [id, rest.get(id)]));
  }

  #mark(stock, soldOut) {
    this.#takeStock(stock);
    const sale = this.#sales.get(stock.saleId);
    if (sale !== undefined) this.#sales.set(stock.saleId, { ...sale, soldOut });
  }

  #close(stock) {
    this.#takeStock(stock);
    this.#over(stock.saleId);
  }

  #detach(saleId) {
    const sale = this.#sales.get(saleId);
    if (sale === undefined) return;
    this.#sales.set(saleId, { ...sale, detached: true });
    this.#over(saleId);
  }

  #over(saleId) {
    if (!this.#sales.has(saleId) || this.#closed.includes(saleId)) return;
    this.#closed.push(saleId);
    while (this.#closed.length > CLOSED_SALES_MAX) this.#sales.delete(this.#closed.shift());
  }

  #mute(userId, untilMs, serverMs) {
    this.muted.delete(userId);
    if (untilMs <= 0) return;
    if (this.muted.size >= MUTED_MAX) {
      for (const [user, until] of this.muted) if (until <= serverMs) this.muted.delete(user);
      if (this.muted.size >= MUTED_MAX) this.muted.delete(this.muted.keys().next().value);
    }
    this.muted.set(userId, untilMs);
  }

  #takeState(state) {
    const changed = { stock: (state.stock ?? []).filter((stock) => this.#takeStock(stock)) };
    const version = state.version ?? 0;
    if (state.viewers !== undefined && version >= this.#viewersVersion) {
      this.#viewersVersion = version;
      if (this.viewers !== state.viewers) this.viewers = changed.viewers = state.viewers;
    }
    if (state.likes !== undefined && version >= this.#likesVersion) {
      this.#likesVersion = version;
      if (this.likes !== state.likes) this.likes = changed.likes = state.likes;
    }
    const isNothing = changed.stock.length === 0 && Object.keys(changed).length === 1;
    return isNothing ? null : changed;
  }

  #takeStock(stock) {
    const known = this.#stock.get(stock.saleId);
    if (known !== undefined && notNewer(stock, known)) return false;
    if (known === undefined && this.#stock.size - this.#sales.size >= LOOSE_STOCK_MAX) {
      const loose = [...this.#stock.keys()].filter((id) => !this.#sales.has(id));
      for (const id of loose.slice(0, loose.length / 2)) this.#stock.delete(id);
    }
    this.#stock.set(stock.saleId, stock);
    return true;
  }

  #shown(block, serverMs, nowMs) {
    return {
      danmaku: (block.danmaku ?? []).filter(([id, userId]) => this.allows(id, userId, serverMs, nowMs)),
      repeats: block.repeats ?? [],
      gifts: block.gifts ?? [],
      entered: block.entered ?? 0,
      offered: block.offered ?? 0,
      merged: block.merged ?? 0,
      shed: block.shed ?? 0,
    };
  }

  /** False for a comment that was deleted, or whose author is muted. */
  allows(danmakuId, userId, serverMs, nowMs) {
    return !((this.muted.get(userId) ?? 0) > serverMs || this.#deleted.holds(danmakuId, nowMs));
  }
}
