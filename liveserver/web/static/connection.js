// The shell around session.js: one WebSocket, one timer. The only file that touches either.

import { Session } from "./session.js";

const SUBPROTOCOL = "live.v1.json";
const TICK_MS = 250;
const OPEN_TIMEOUT_MS = 10_000;

/** Milliseconds that never go back, on this device's own clock. */
export const nowMs = () => performance.timeOrigin + performance.now();

const newId = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
};

export class Connection {
  #socket = null;
  #openedMs = 0; // when the present attempt began
  #url;
  #listen;

  /** `listen(happening)` is called for each thing that happened, in order. */
  constructor({ url, token, room, listen }) {
    this.#url = url;
    this.#listen = listen;
    this.session = new Session({ token, rooms: [room], random: Math.random, newId });
  }

  start() {
    this.#open();
    setInterval(() => this.#tick(), TICK_MS);
    addEventListener("online", () => this.session.hurry(nowMs()));
  }

  /** Milliseconds of the server's time, as well as it is known. */
  serverMs() {
    return this.session.clock.serverMs(nowMs());
  }

  /** Returns the command's id, "" if it was not taken (too many wait, or the session is over). */
  command(type, fields, id) {
    const given = this.session.command(type, fields, nowMs(), id);
    this.#drain();
    return given;
  }

  askAgain(room) {
    this.session.askAgain(room, nowMs());
    this.#drain();
  }

  #open() {
    this.session.reconnectAtMs = null;
    this.#openedMs = nowMs();
    const socket = new WebSocket(this.#url, [SUBPROTOCOL]);
    this.#socket = socket;
    // What an abandoned socket still says is nobody's business: each handler checks that it is the present one.
    const whilePresent = (act) => (event) => {
      if (this.#socket !== socket) return;
      act(event);
      this.#drain();
    };
    socket.onopen = whilePresent(() => this.session.connected(nowMs()));
    socket.onclose = whilePresent(({ code, reason }) => this.#gone(code, reason));
    socket.onmessage = whilePresent(({ data }) => {
      try {
        this.session.received(data, nowMs());
      } catch (error) {
        console.error("not a message of", SUBPROTOCOL, error);
        this.#giveUp();
      }
    });
  }

  #tick() {
    const now = nowMs();
    if (this.#socket?.readyState === WebSocket.CONNECTING && now - this.#openedMs > OPEN_TIMEOUT_MS) {
      this.#giveUp();
    }
    this.session.tick(now);
    const due = this.session.reconnectAtMs;
    if (due !== null && due <= now) this.#open();
    this.#drain();
  }

  #giveUp() {
    const socket = this.#socket;
    this.#gone(1006, "");
    socket?.close();
  }

  #gone(code, reason) {
    this.#socket = null;
    this.session.disconnected(code, nowMs(), reason);
  }

  #drain() {
    for (const text of this.session.takeOutput()) {
      if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(text);
    }
    let gaveUp = false;
    for (const happening of this.session.takeHappenings()) {
      gaveUp ||= happening.happening === "gaveUp";
      this.#listen(happening);
    }
    if (!gaveUp) return;
    this.#giveUp();
    this.#drain(); // once more at most: after disconnected() nothing gives up
  }
}
