// The client's side as a state machine: no socket, no timer, no DOM; time and randomness are arguments. The
// browser's counterpart of protocol/client/session.py, with the same happenings under the same names.
//
// The shell (connection.js) feeds it connected / received / disconnected / tick, and after each call sends
// what takeOutput() gives and hands takeHappenings() to the page.
//
// One thing differs from Python: a browser shows its page neither pings nor pongs. So after a keepalive of
// silence this asks with a `ping` command, and gives up after two.
//
// What holds always: nothing is sent before the welcome but `authenticate`; a room's commands wait until the
// server has us inside; every command given ends in exactly one "answered" or "unknown".

import { delayMs } from "./backoff.js";
import { finalReason, mayReconnect } from "./close.js";
import { OwnDanmaku } from "./own.js";
import { Pending, repeatable } from "./pending.js";
import { RoomLink } from "./room_link.js";
import { ServerClock } from "./server_clock.js";

const KEEPALIVE_MS = 25_000; // until a welcome says otherwise
const WELCOME_MS_MAX = 10_000; // no welcome within this of the handshake: give up and come back
const SETTLED_MS = 10_000; // a connection that lived this long after its welcome starts the backoff afresh
const COMMAND_TIMEOUT_MS = 10_000;

export class Session {
  state = "idle"; // idle, authenticating, live, waiting, over
  welcome = null;
  overBecause = ""; // a close's or an error's stable name, once state is "over"
  reconnectAtMs = null; // when the shell should connect again; null: not
  clock = new ServerClock();
  links = new Map(); // room -> RoomLink
  #token;
  #random;
  #newId;
  #output = [];
  #happenings = [];
  #pending = new Pending();
  #own = new OwnDanmaku();
  #failures = 0;
  #bye = null; // of this connection
  #heardAtMs = 0;
  #askedAtMs = null; // when our unanswered ping was sent
  #authenticateId = "";

  /** `random()` in [0, 1); `newId()` a fresh command id. */
  constructor({ token, rooms, random, newId }) {
    this.#token = token;
    this.#random = random;
    this.#newId = newId;
    for (const room of rooms) this.links.set(room, new RoomLink(room));
  }

  takeOutput() {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  takeHappenings() {
    const happenings = this.#happenings;
    this.#happenings = [];
    return happenings;
  }

  // -- what the application says -----------------------------------------------------------------------------

  /** Send a command now, or as soon as we are in its room. Returns its id, or "" if too many wait. */
  command(type, fields, nowMs, id = this.#newId()) {
    if (this.state === "over") return "";
    if (!this.#pending.add({ type, id, ...fields }, nowMs + COMMAND_TIMEOUT_MS)) return "";
    this.#flush();
    return id;
  }

  /** Ask the room again what it knows of me (`me`), by resuming where we are. */
  askAgain(room, nowMs) {
    const link = this.links.get(room);
    if (this.state !== "live" || link === undefined || !link.inside) return;
    link.wantsJoinAtMs = nowMs;
    this.#advance(nowMs);
  }

  // -- what the shell says -----------------------------------------------------------------------------------

  connected(nowMs) {
    this.state = "authenticating";
    this.reconnectAtMs = null;
    this.#heardAtMs = nowMs;
    this.#askedAtMs = null;
    if (this.#token === "") return; // the handshake carried it, as a page's never can
    this.#authenticateId = this.#newId();
    this.#send({ type: "authenticate", id: this.#authenticateId, token: this.#token });
  }

  /** One text message of the server. Throws on what is none of the subprotocol. */
  received(text, nowMs) {
    const said = JSON.parse(text);
    this.#heardAtMs = nowMs;
    this.#askedAtMs = null;
    if (said.t > 0) this.clock.sample(said.t, nowMs);
    switch (said.type) {
      case "frame":
        this.#framed(said, nowMs);
        break;
      case "welcome":
        this.#welcomed(said, nowMs);
        break;
      case "notice":
        this.#say({ happening: "noticed", notice: said });
        break;
      case "bye":
        this.#bye = said;
        this.#say({ happening: "byeSaid", bye: said });
        break;
      default:
        this.#replied(said, nowMs);
    }
    this.#advance(nowMs);
  }

  /** The connection is gone (or never came up: code 1006). */
  disconnected(code, nowMs, reason = "") {
    if (this.state === "over") return;
    const bye = this.#bye;
    if (this.welcome !== null && nowMs - this.welcome.atMs >= SETTLED_MS) this.#failures = 0;
    this.#bye = null;
    this.welcome = null;
    this.#authenticateId = "";
    for (const link of this.links.values()) link.disconnected();
    for (const lost of this.#pending.cut()) this.#unknown(lost, "disconnected");
    if (!(bye?.reconnect ?? mayReconnect(code)) || finalReason(code) === "token_expired") {
      this.#end(finalReason(code) || (bye?.reason ?? ""));
      this.#say({ happening: "disconnected", code, retryInMs: null });
      return;
    }
    this.state = "waiting";
    const waitMs = delayMs(this.#failures, this.#random, bye ?? windowOf(reason));
    this.#failures += 1;
    this.reconnectAtMs = nowMs + waitMs;
    this.#say({ happening: "disconnected", code, retryInMs: waitMs });
  }

  /** The network came back: don't sit out a long wait, but still spread out. */
  hurry(nowMs) {
    if (this.reconnectAtMs === null || this.#failures < 2) return;
    this.reconnectAtMs = Math.min(this.reconnectAtMs, nowMs + delayMs(0, this.#random));
  }

  /** Call a few times a second. */
  tick(nowMs) {
    for (const late of this.#pending.overdue(nowMs)) this.#unknown(late, "timeout");
    if (this.state !== "live" && this.state !== "authenticating") return;
    for (const link of this.links.values()) link.tick(nowMs);
    this.#advance(nowMs);
    const silentMs = nowMs - this.#heardAtMs;
    const keepaliveMs = this.welcome?.keepaliveMs ?? KEEPALIVE_MS;
    const patienceMs = this.welcome === null ? WELCOME_MS_MAX : 2 * keepaliveMs;
    if (silentMs >= patienceMs) {
      this.#say({ happening: "gaveUp", silentMs });
    } else if (this.welcome !== null && silentMs >= keepaliveMs && this.#askedAtMs === null) {
      this.#askedAtMs = nowMs;
      this.#send({ type: "ping", id: this.#newId() });
    }
  }

  // -- inside ------------------------------------------------------------------------------------------------

  #framed(frame, nowMs) {
    for (const each of this.links.get(frame.room)?.take(frame, nowMs) ?? []) {
      const isComments = each.happening === "danmakuShown";
      this.#say(isComments ? this.#own.fromFrame(each, this.welcome?.userId, nowMs) : each);
    }
  }

  #welcomed(reply, nowMs) {
    this.state = "live";
    this.welcome = { ...reply, atMs: nowMs };
    for (const link of this.links.values()) link.connected(nowMs);
    this.#say({ happening: "welcomed", welcome: reply });
  }

  #replied(reply, nowMs) {
    const link = [...this.links.values()].find(({ joinId }) => joinId !== "" && joinId === reply.id);
    if (link !== undefined) {
      this.#joinReplied(link, reply, nowMs);
    } else if (reply.type === "error" && reply.id === this.#authenticateId && this.welcome === null) {
      this.#say({ happening: "notWelcome", reply }); // and the server closes
    } else if (reply.type === "error" && reply.code === "retry" && this.#pending.hold(reply.id)) {
      // It goes out again by itself on the next connection.
    } else {
      const command = this.#pending.settle(reply.id);
      if (command !== null) this.#answered(command, reply, nowMs);
    }
  }

  #answered(command, reply, nowMs) {
    this.#say({ happening: "answered", commandId: reply.id, command, reply });
    if (command.type !== "danmaku" || reply.type !== "receipt" || this.welcome === null) return;
    const own = this.#own.fromReceipt(command, reply, this.welcome, nowMs);
    if (own !== null) this.#say(own);
  }

  #joinReplied(link, reply, nowMs) {
    if (reply.type === "joined") {
      this.#say(...link.joined(reply, nowMs));
      return;
    }
    const refused = link.refused(reply, nowMs);
    if (refused === null) return;
    this.links.delete(link.room);
    this.#say(refused);
  }

  /** Send the joins that are due, then the commands that may go. */
  #advance(nowMs) {
    if (this.state !== "live") return;
    for (const link of this.links.values()) {
      if (link.wantsJoinAtMs === null || link.wantsJoinAtMs > nowMs || link.joinId !== "") continue;
      this.#send(link.join(this.#newId()));
    }
    this.#flush();
  }

  #flush() {
    if (this.state !== "live") return;
    const maySend = ({ room }) => room === undefined || (this.links.get(room)?.inside ?? true);
    for (const command of this.#pending.unsent(maySend)) this.#send(command);
  }

  #end(because) {
    this.state = "over";
    this.overBecause = because;
    this.reconnectAtMs = null;
    for (const lost of this.#pending.drain()) this.#unknown(lost, "ended");
  }

  #unknown(command, why) {
    const { id } = command;
    this.#say({ happening: "unknown", commandId: id, command, why, repeatable: repeatable(command) });
  }

  #send(command) {
    this.#output.push(JSON.stringify(command));
  }

  #say(...happenings) {
    this.#happenings.push(...happenings);
  }
}

/** A refusal at the door also says its window in the close reason, `… retryMs=…`, for who missed the bye. */
function windowOf(reason) {
  const found = /retryMs=(\d{1,9})/.exec(reason);
  return { retryMs: Number(found?.[1] ?? 0) };
}
