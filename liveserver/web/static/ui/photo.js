// A listing's photo. A photo is a reference; the page's policy lets it load from this host alone, so anything
// else (and anything that fails to load) is a tile with the title's first letter.

import { el } from "./dom.js";

const TONES = 8; // as many as viewer.css has

const isOurs = (reference) => /^\/(?!\/)/.test(reference);

/** Fill `node` with the listing's photo, if it doesn't show it already. */
export function showPhoto(node, listing) {
  const wanted = `${listing.listingId} ${listing.photo ?? ""} ${listing.title}`;
  if (node.dataset.shown === wanted) return;
  node.dataset.shown = wanted;
  const tile = el("span", `tile tile-${listing.number % TONES}`, [...listing.title][0] ?? "");
  node.replaceChildren(tile);
  if (!isOurs(listing.photo ?? "")) return;
  const image = el("img", "photo-image");
  image.alt = "";
  image.addEventListener("load", () => node.dataset.shown === wanted && node.replaceChildren(image));
  image.src = listing.photo;
}
