// The card of the listing being explained. It can be hidden; another listing being explained shows it again.

import { words } from "../words.js";
import { button, byId, el, icon, setHidden, setLabel, setText } from "./dom.js";
import { OfferView } from "./offer_view.js";
import { showPhoto } from "./photo.js";

export class Popup {
  #context;
  #node = byId("popup");
  #tab = byId("popupTab");
  #prop = byId("prop");
  #photo = el("div", "photo");
  #number = el("span", "number");
  #flag = el("span", "popup-flag");
  #title = el("h2", "title");
  #line = el("p", "line");
  #close = button("round popup-close", () => this.#hide());
  #offer;
  #hiddenListing = "";

  constructor(context) {
    this.#context = context;
    this.#offer = new OfferView(context);
    this.#close.append(icon("close"));
    this.#tab.addEventListener("click", () => this.#show());
    const frame = el("div", "photo-frame");
    frame.append(this.#photo, this.#number);
    const head = el("div", "popup-head");
    head.append(this.#flag, this.#title);
    const left = el("div", "listing-price");
    left.append(this.#offer.price, this.#offer.stock);
    const foot = el("div", "listing-foot");
    foot.append(left, this.#offer.action);
    const body = el("div", "listing-body");
    body.append(head, this.#line, this.#offer.variants, foot, this.#offer.terms);
    this.#node.append(frame, body, this.#close);
  }

  update() {
    const { mirror } = this.#context();
    const listing = mirror.listing(mirror.explaining);
    setHidden(this.#prop, listing === null);
    if (listing !== null) showPhoto(this.#prop, listing);
    const isHidden = listing !== null && this.#hiddenListing === listing.listingId;
    setHidden(this.#node, listing === null || isHidden);
    setHidden(this.#tab, !isHidden);
    if (listing === null) {
      this.#hiddenListing = "";
      return;
    }
    setText(this.#tab, `${words().showPopup} · ${listing.number}`);
    setLabel(this.#node, words().explaining);
    setLabel(this.#close, words().hidePopup);
    showPhoto(this.#photo, listing);
    setText(this.#number, String(listing.number));
    setText(this.#flag, words().explaining);
    setText(this.#title, listing.title);
    setText(this.#line, listing.line ?? "");
    setHidden(this.#line, !listing.line);
    this.#offer.update(listing);
  }

  #hide() {
    this.#hiddenListing = this.#context().mirror.explaining;
    this.update();
    this.#tab.focus();
  }

  #show() {
    this.#hiddenListing = "";
    this.update();
    this.#close.focus();
  }
}
