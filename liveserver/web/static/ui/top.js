// The bar over the picture: room, counts, live or not, connection; and the curtain when the room can't be shown.

import { brief } from "../format.js";
import { currentLanguage, words } from "../words.js";
import { byId, setHidden, setText } from "./dom.js";

const STATUS = {
  live: () => words().live,
  paused: () => words().statusPaused,
  ended: () => words().statusEnded,
};

export class Top {
  #room;

  constructor(room) {
    this.#room = room;
  }

  /** `connection` is {state: "connecting" | "live" | "waiting" | "over", leftMs, because}. */
  update(mirror, connection, likesAhead) {
    const language = currentLanguage();
    setText(byId("roomName"), this.#room);
    setText(byId("hostFace"), [...this.#room][0] ?? "");
    setText(byId("viewers"), mirror.viewers === null ? "" : words().viewers(brief(mirror.viewers, language)));
    const likes = (mirror.likes ?? 0) + likesAhead;
    setText(byId("likes"), mirror.likes === null ? "" : words().likes(brief(likes, language)));
    const status = byId("status");
    setText(status, STATUS[mirror.status]?.() ?? "");
    status.dataset.status = mirror.status;
    setText(byId("stageHint"), words().stageHint);
    this.#connection(connection);
  }

  #connection({ state, leftMs, because }) {
    const box = byId("connection");
    if (box.dataset.state !== state) box.dataset.state = state;
    const text = words().connection[state];
    const shown = typeof text === "function" ? text(Math.max(1, Math.ceil(leftMs / 1000))) : text;
    setText(byId("connectionText"), shown);
    setHidden(byId("curtain"), state !== "over");
    if (state === "over") setText(byId("curtain"), words().over[because] ?? words().over[""]);
  }
}
