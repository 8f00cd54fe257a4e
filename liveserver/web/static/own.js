// Own comments, each shown once: from the receipt or from the room's frame, whichever comes first. Pure. The
// browser's copy of protocol/client/own.py.

import { FadingSet } from "./fading.js";

const KEPT_MS = 60_000; // as long as the other copy may still come
const KEPT_MAX = 256;

export class OwnDanmaku {
  #shown = new FadingSet(KEPT_MS, KEPT_MAX);

  /** The happening to show now, or null. The name is empty: the page knows its own. */
  fromReceipt(command, receipt, { userId, role }, nowMs) {
    const id = receipt.danmakuId ?? "";
    if (receipt.fate !== "shown" || id === "" || this.#shown.holds(id, nowMs)) return null;
    this.#shown.add(id, nowMs);
    const danmaku = [[id, userId, "", command.text, role === "viewer" ? "" : role]];
    return { happening: "danmakuShown", room: command.room, danmaku, own: true };
  }

  /** The block less own comments that were shown from their receipts. */
  fromFrame(shown, userId, nowMs) {
    const keep = [];
    for (const each of shown.danmaku) {
      if (each[1] === userId) {
        if (this.#shown.holds(each[0], nowMs)) continue;
        this.#shown.add(each[0], nowMs);
      }
      keep.push(each);
    }
    return { ...shown, danmaku: keep };
  }
}
