// Danmaku over the picture, on the vendored library (vendor/danmaku.mjs). Not shown to who asked for less
// motion: they have the list.

import Danmaku from "../vendor/danmaku.mjs";
import { byId, el, prefersStill } from "./dom.js";
import { Lines } from "./lines.js";

const FLYING_MAX = 60;
const HISTORY_MAX = 500;
const SPEED_PX_PER_S = 120;
const LINE_PX = 36; // a line's height, as viewer.css has it or less
const LETTER_PX = 22; // likewise, of the widest letters

export class Flying {
  #stage = byId("danmaku");
  #danmaku;
  #lines = new Lines();
  #isOn = !prefersStill();

  constructor() {
    this.#danmaku = new Danmaku({ container: this.#stage, speed: SPEED_PX_PER_S });
    new ResizeObserver(() => this.#resize()).observe(this.#stage);
    this.#resize();
  }

  get isOn() {
    return this.#isOn;
  }

  toggle() {
    this.#isOn = !this.#isOn;
    if (!this.#isOn) this.#danmaku.clear();
  }

  show({ id, userId, text, isMine, role }) {
    if (!this.#isOn || document.hidden) return;
    if (this.#stage.querySelectorAll(".fly").length >= FLYING_MAX) return;
    const isFree = this.#lines.take([...text].length * LETTER_PX, performance.now());
    if (!isFree && !isMine && !role) return; // it is in the list; over another one nobody could read either
    this.#forgetFlown();
    const node = el("span", `fly ${isMine ? "fly-mine" : ""} ${role ? "fly-staff" : ""}`, text);
    node.dataset.id = id;
    node.dataset.user = userId;
    this.#danmaku.emit({ render: () => node });
  }

  /** Take one comment, or all of a user, out of the air. */
  hide({ id = null, userId = null }) {
    for (const node of this.#stage.querySelectorAll(".fly")) {
      if (node.dataset.id === id || node.dataset.user === userId) node.hidden = true;
    }
  }

  #resize() {
    this.#danmaku.resize();
    const { clientWidth, clientHeight } = this.#stage;
    this.#lines.resize(Math.floor(clientHeight / LINE_PX), clientWidth, SPEED_PX_PER_S);
  }

  /** In live mode the library keeps every comment ever given; drop those it has taken up already. */
  #forgetFlown() {
    const { comments, _: inner } = this.#danmaku;
    if (inner.position < HISTORY_MAX) return;
    comments.splice(0, inner.position);
    inner.position = 0;
  }
}
