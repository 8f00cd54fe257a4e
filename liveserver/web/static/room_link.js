// One room of one session: joined or not, how its frames are numbered, and its mirror. Pure. The browser's
// copy of protocol/client/room.py.
//
// Every way of falling behind ends in one thing, a join with the mirror's place: a new connection, a gap, a
// room head that stays ahead of us, a join refused for the moment.

import { Mirror } from "./mirror.js";

const CATCH_UP_MS_MAX = 5_000; // behind the room's head for longer: ask to resume
const TRANSIENT_RETRY_MS = 1_000; // a join refused for the moment, where the server names no time
const TRANSIENT = new Set(["rate_limited", "unavailable", "pending", "retry"]); // "not now", of a join

export class RoomLink {
  joinId = ""; // of the join in flight on this connection
  wantsJoinAtMs = null;
  missedFrames = 0; // in all, over every connection
  resumes = 0;
  #owed = null; // a reply whose frames have not all come
  #numbered = false; // this connection's join has said where numbering starts
  #firstN = 0; // the first and last number seen on this connection
  #lastN = 0;
  #behindSinceMs = null;

  constructor(room) {
    this.room = room;
    this.mirror = new Mirror(room);
  }

  /** The mirror is true up to what the last join named. */
  get entered() {
    return this.#owed === null && this.joinId === "" && this.#numbered;
  }

  /** The server has us in the room: commands for it may be sent. */
  get inside() {
    return this.#numbered;
  }

  connected(nowMs) {
    this.wantsJoinAtMs = nowMs;
  }

  disconnected() {
    this.joinId = "";
    this.wantsJoinAtMs = null;
    this.#owed = null;
    this.#numbered = false;
    this.#firstN = 0;
    this.#lastN = 0;
    this.#behindSinceMs = null;
  }

  /** The join to send, with the mirror's place. */
  join(joinId) {
    this.joinId = joinId;
    this.wantsJoinAtMs = null;
    this.#behindSinceMs = null;
    const join = { type: "join", id: joinId, room: this.room };
    const { epoch, offset } = this.mirror;
    return epoch === null ? join : { ...join, epoch, offset };
  }

  /** The reply to our join. Its frames may have come before it, or come after. */
  joined(reply, nowMs) {
    const happenings = [];
    this.joinId = "";
    if (!this.#numbered) {
      this.#numbered = true;
      if (this.#firstN > reply.n + 1) happenings.push(this.#missed(this.#firstN - reply.n - 1));
      this.#lastN = Math.max(this.#lastN, reply.n);
    }
    if (this.mirror.epoch !== null && reply.epoch < this.mirror.epoch) {
      // The room's history was set back. Ours can't be continued: start over.
      this.mirror.epoch = null;
      this.mirror.offset = 0;
      this.wantsJoinAtMs = nowMs;
      return happenings;
    }
    this.#owed = reply;
    this.#behindSinceMs = nowMs;
    return [...happenings, ...this.#entered()];
  }

  /** An error for our join. null: only for the moment; the join is sent again later. */
  refused(reply, nowMs) {
    this.joinId = "";
    if (TRANSIENT.has(reply.code)) {
      this.wantsJoinAtMs = nowMs + Math.max(reply.retryMs ?? 0, TRANSIENT_RETRY_MS);
      return null;
    }
    return { happening: "roomRefused", room: this.room, reply };
  }

  take(frame, nowMs) {
    const happenings = frame.n > 0 ? this.#count(frame.n) : [];
    let applied = this.mirror.apply(frame, nowMs);
    const isGap = ({ happening }) => happening === "gapFound";
    if (this.joinId !== "" || this.#owed !== null || this.wantsJoinAtMs !== null) {
      applied = applied.filter((each) => !isGap(each)); // what doesn't follow yet is on its way
    } else if (applied.some(isGap)) {
      this.wantsJoinAtMs = nowMs;
    }
    happenings.push(...applied, ...this.#entered());
    this.#watchHead(frame, nowMs);
    return happenings;
  }

  /** Behind for too long: ask to resume. */
  tick(nowMs) {
    const behind = this.#behindSinceMs;
    if (behind === null || nowMs - behind < CATCH_UP_MS_MAX || this.joinId !== "") return;
    this.#behindSinceMs = null;
    this.#owed = null;
    this.wantsJoinAtMs = nowMs;
  }

  #count(n) {
    const last = this.#lastN;
    this.#lastN = Math.max(last, n);
    if (this.#firstN === 0) {
      this.#firstN = n;
      if (!this.#numbered) return [];
    }
    return n > last + 1 ? [this.#missed(n - last - 1)] : [];
  }

  #missed(frames) {
    this.missedFrames += frames;
    return { happening: "missed", room: this.room, frames };
  }

  #entered() {
    const reply = this.#owed;
    const { epoch, offset } = this.mirror;
    if (reply === null || epoch !== reply.epoch || offset < reply.offset) return [];
    this.#owed = null;
    this.#behindSinceMs = null;
    this.resumes += 1;
    const { mode, replayed = 0, me = {} } = reply;
    return [
      {
        happening: "entered",
        room: this.room,
        epoch: reply.epoch,
        offset: reply.offset,
        mode,
        replayed,
        me,
      },
    ];
  }

  #watchHead(frame, nowMs) {
    if (this.#owed !== null || this.joinId !== "" || this.wantsJoinAtMs !== null) return;
    if ((frame.head ?? 0) <= this.mirror.offset) this.#behindSinceMs = null;
    else if (this.#behindSinceMs === null) this.#behindSinceMs = nowMs;
  }
}
