// Outcomes, said once: to the eye for a few seconds, to a screen reader politely.

import { byId, el } from "./dom.js";

const SHOWN_MS = 4_000;
const TOASTS_MAX = 3;

/** `mood` is "good", "bad" or "". */
export function toast(text, mood = "") {
  const box = byId("toasts");
  const node = el("p", `toast ${mood}`.trim(), text);
  box.append(node);
  while (box.childElementCount > TOASTS_MAX) box.firstElementChild.remove();
  setTimeout(() => node.remove(), SHOWN_MS);
}
