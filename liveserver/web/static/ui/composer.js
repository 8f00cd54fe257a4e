// The comment box. What became of a comment is said at the comment itself (chat.js).

import { words } from "../words.js";
import { byId, setLabel } from "./dom.js";

export class Composer {
  #text = byId("chatText");
  #button = byId("chatSend");

  /** `send(text)` returns true if it was taken; only then is the box emptied. */
  constructor(send) {
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      if (text !== "" && send(text)) this.#text.value = "";
    });
  }

  /** `mutedUntilMs` is 0 for one who may speak; `isOpen` is false while nothing can be sent. */
  update({ mutedUntilMs, isOpen }) {
    const time = new Date(mutedUntilMs).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const hint = mutedUntilMs > 0 ? words().mutedUntil(time) : words().chatPlaceholder;
    if (this.#text.placeholder !== hint) this.#text.placeholder = hint;
    setLabel(this.#text, hint);
    setLabel(this.#button, words().send);
    this.#text.disabled = mutedUntilMs > 0 || !isOpen;
    this.#button.disabled = this.#text.disabled;
  }
}
