// The comment list: the last comments and gifts, repeat counts, and for one's own what became of them.
//
// One's own comment is shown when it is sent, with its receipt's words under it. The receipt may come before
// or after the frame that carries the comment, so both meet at the danmaku id: shown once, whichever is first.

import { words } from "../words.js";
import { byId, el, setText } from "./dom.js";

const ENTRIES_MAX = 150;
const FOLLOW_SLACK_PX = 40; // scrolled up further than this: the list stays where the reader is
const REFUSED_SHOWN_MS = 12_000;

export class Chat {
  #list = byId("comments");
  #arrivals = byId("arrivals");
  #arrivalsTimer = 0;
  #byDanmaku = new Map(); // danmaku id -> entry node
  #mine = new Map(); // command id -> entry node, until its receipt
  #myUserId = "";

  iAm(userId) {
    this.#myUserId = userId;
  }

  /** A comment as the room shows it. False if it is on the list already. */
  show([id, userId, name, text, role = ""]) {
    if (this.#byDanmaku.has(id)) return false;
    const node = this.#entry(userId, userId === this.#myUserId ? words().me : name || userId, text, role);
    this.#place(id, node);
    return true;
  }

  repeat([id, count]) {
    const node = this.#byDanmaku.get(id);
    if (node === undefined) return;
    const badge = node.querySelector(".times") ?? el("b", "times");
    node.querySelector(".said").after(badge);
    setText(badge, `×${count}`);
    badge.classList.remove("bump");
    requestAnimationFrame(() => badge.classList.add("bump"));
  }

  gift([, name, gift, count]) {
    const node = el("li", "entry gift");
    node.append(el("span", "who", name), el("span", "said", words().gift(gift, count)));
    this.#append(node);
  }

  entered(count) {
    if (count <= 0) return;
    setText(this.#arrivals, words().entered(count));
    clearTimeout(this.#arrivalsTimer);
    this.#arrivalsTimer = setTimeout(() => setText(this.#arrivals, ""), 3_000);
  }

  // -- one's own ---------------------------------------------------------------------------------------------

  sending(commandId, text) {
    const node = this.#entry(this.#myUserId, words().me, text, "");
    this.#fate(node, "sending");
    this.#mine.set(commandId, node);
    this.#append(node);
  }

  /** The receipt: the entry gets its words and, if shown, its danmaku id. */
  receipt(commandId, { fate, danmakuId = "", reason = "" }) {
    const mine = this.#mine.get(commandId);
    if (mine === undefined) return;
    this.#mine.delete(commandId);
    const known = this.#byDanmaku.get(danmakuId);
    const isAmongAll = fate === "shown" || fate === "merged";
    if (isAmongAll && known !== undefined) {
      mine.remove();
      this.#fate(known, fate);
      return;
    }
    this.#fate(mine, reason === "muted" ? "muted" : fate);
    if (fate === "shown" && danmakuId !== "") {
      this.#byDanmaku.set(danmakuId, mine);
      mine.dataset.id = danmakuId;
    } else if (!isAmongAll && fate !== "held") {
      this.#refused(mine);
    }
  }

  /** No receipt will come: an error's code, or "unknown". */
  lost(commandId, why) {
    const mine = this.#mine.get(commandId);
    if (mine === undefined) return;
    this.#mine.delete(commandId);
    this.#fate(mine, why === "unknown" ? "unknown" : "error");
    this.#refused(mine);
  }

  // -- order in the room -------------------------------------------------------------------------------------

  remove(danmakuId) {
    this.#byDanmaku.get(danmakuId)?.remove();
    this.#byDanmaku.delete(danmakuId);
  }

  removeUser(userId) {
    for (const [id, node] of this.#byDanmaku) if (node.dataset.user === userId) this.remove(id);
  }

  // -- inside ------------------------------------------------------------------------------------------------

  #entry(userId, name, text, role) {
    const node = el("li", userId === this.#myUserId ? "entry mine" : "entry");
    node.dataset.user = userId;
    const roleName = words().role[role];
    if (roleName !== undefined) node.append(el("span", `role role-${role}`, roleName));
    node.append(el("span", "who", name), el("span", "said", text));
    return node;
  }

  #fate(node, fate) {
    const line = node.querySelector(".fate") ?? node.appendChild(el("small", "fate"));
    line.dataset.fate = fate;
    setText(line, words().fate[fate] ?? words().fate.error);
  }

  #refused(node) {
    node.classList.add("refused");
    setTimeout(() => node.remove(), REFUSED_SHOWN_MS);
  }

  #place(id, node) {
    node.dataset.id = id;
    this.#byDanmaku.set(id, node);
    this.#append(node);
  }

  #append(node) {
    const list = this.#list;
    const isFollowing = list.scrollHeight - list.scrollTop - list.clientHeight < FOLLOW_SLACK_PX;
    list.append(node);
    while (list.childElementCount > ENTRIES_MAX) {
      const oldest = list.firstElementChild;
      this.#byDanmaku.delete(oldest.dataset.id);
      oldest.remove();
    }
    if (isFollowing) list.scrollTop = list.scrollHeight;
  }
}
