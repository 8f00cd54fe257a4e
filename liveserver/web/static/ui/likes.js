// The like button: every tap shows at once; taps are summed and sent a few times a second at most.

import { words } from "../words.js";
import { byId, el, icon, prefersStill, setLabel } from "./dom.js";

const SEND_EVERY_MS = 600;
const TAPS_MAX = 100; // one command's
const HEARTS_MAX = 24;

export class Likes {
  /** Taps the server's count doesn't hold yet. */
  ahead = 0;
  #unsent = 0;
  #timer = null;
  #send;

  /** `send(count)` returns a command id, "" if it was not taken. */
  constructor(send, changed) {
    this.#send = send;
    byId("likeButton").addEventListener("click", () => {
      this.#unsent += 1;
      this.ahead += 1;
      this.#float();
      this.#timer ??= setTimeout(() => this.#flush(), SEND_EVERY_MS);
      changed();
    });
  }

  /** The server has counted them, or never will. */
  settled(count) {
    this.ahead = Math.max(0, this.ahead - count);
  }

  label() {
    setLabel(byId("likeButton"), words().like);
  }

  #flush() {
    this.#timer = null;
    const count = Math.min(this.#unsent, TAPS_MAX);
    this.#unsent = 0;
    if (count > 0 && this.#send(count) === "") this.settled(count);
  }

  #float() {
    const hearts = byId("hearts");
    if (prefersStill() || hearts.childElementCount >= HEARTS_MAX) return;
    const heart = el("span", `heart heart-${Math.floor(Math.random() * 4)}`);
    heart.append(icon("heart"));
    heart.addEventListener("animationend", () => heart.remove());
    hearts.append(heart);
  }
}
