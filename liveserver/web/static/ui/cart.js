// The yellow cart: the room's numbered listings. A column on a wide screen, a sheet on a phone.

import { words } from "../words.js";
import { byId, el, setHidden, setLabel, setText } from "./dom.js";
import { OfferView } from "./offer_view.js";
import { showPhoto } from "./photo.js";

class Row {
  node = el("li", "listing");
  #photo = el("div", "photo");
  #number = el("span", "number");
  #flag = el("span", "flag");
  #title = el("h3", "title");
  #line = el("p", "line");
  #offer;

  constructor(context) {
    this.#offer = new OfferView(context);
    const frame = el("div", "photo-frame");
    frame.append(this.#photo, this.#number, this.#flag);
    const body = el("div", "listing-body");
    const foot = el("div", "listing-foot");
    const left = el("div", "listing-price");
    left.append(this.#offer.price, this.#offer.stock);
    foot.append(left, this.#offer.action);
    body.append(this.#title, this.#line, this.#offer.variants, foot, this.#offer.terms);
    this.node.append(frame, body);
  }

  update(listing, isExplained) {
    if (this.node.dataset.listing !== listing.listingId) this.node.dataset.listing = listing.listingId;
    showPhoto(this.#photo, listing);
    setText(this.#number, String(listing.number));
    setText(this.#title, listing.title);
    setText(this.#line, listing.line ?? "");
    setHidden(this.#line, !listing.line);
    setText(this.#flag, words().explaining);
    setHidden(this.#flag, !isExplained);
    this.node.classList.toggle("explained", isExplained);
    this.#offer.update(listing);
  }
}

export class Cart {
  #context;
  #rows = new Map(); // listing id -> Row
  #list = byId("listings");
  #room = byId("room");
  #opener = byId("cartOpen");
  #closer = byId("cartClose");

  constructor(context) {
    this.#context = context;
    this.#opener.addEventListener("click", () => this.open());
    this.#closer.addEventListener("click", () => this.close());
    byId("scrim").addEventListener("click", () => this.close());
    addEventListener("keydown", ({ key }) => key === "Escape" && this.close());
  }

  open() {
    this.#room.classList.add("cart-is-open");
    this.#opener.setAttribute("aria-expanded", "true");
    this.#closer.focus();
  }

  close() {
    if (!this.#room.classList.contains("cart-is-open")) return;
    this.#room.classList.remove("cart-is-open");
    this.#opener.setAttribute("aria-expanded", "false");
    this.#opener.focus();
  }

  update() {
    const { mirror } = this.#context();
    const listings = mirror.listings();
    const wanted = new Set(listings.map(({ listingId }) => listingId));
    for (const [id, row] of this.#rows) {
      if (wanted.has(id)) continue;
      row.node.remove();
      this.#rows.delete(id);
    }
    listings.forEach((listing, place) => {
      const row = this.#row(listing.listingId);
      row.update(listing, mirror.explaining === listing.listingId);
      if (this.#list.children[place] !== row.node) this.#list.insertBefore(row.node, this.#list.children[place] ?? null);
    });
    this.#frame(listings.length);
  }

  #row(listingId) {
    let row = this.#rows.get(listingId);
    if (row === undefined) this.#rows.set(listingId, (row = new Row(this.#context)));
    return row;
  }

  #frame(count) {
    setText(byId("cartTitle"), words().cart);
    setText(byId("cartCount"), words().cartCount(count));
    setText(byId("cartEmpty"), words().cartEmpty);
    setHidden(byId("cartEmpty"), count > 0);
    setText(byId("cartBadge"), String(count));
    setHidden(byId("cartBadge"), count === 0);
    setLabel(this.#opener, `${words().cart}, ${words().cartCount(count)}`);
    setLabel(this.#closer, words().close);
  }
}
