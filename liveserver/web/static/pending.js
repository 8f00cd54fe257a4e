// Commands that wait for their reply. Pure. The browser's copy of protocol/client/pending.py.
//
// A lost connection hands back as unknown what may count twice; the rest waits and is sent again on the next
// connection, a purchase with `attempt` raised.

const IN_FLIGHT_MAX = 64; // as the server counts them
const AT_MOST_ONCE = new Set(["danmaku", "like", "gift"]);
const ATTEMPT_MAX = 1_000;

export const repeatable = (command) => !AT_MOST_ONCE.has(command.type);

const raised = (command) =>
  command.type === "purchase"
    ? { ...command, attempt: Math.min((command.attempt ?? 0) + 1, ATTEMPT_MAX) }
    : command;

export class Pending {
  #waiting = new Map(); // id -> {command, deadlineMs, sent}, in the order given

  has(id) {
    return this.#waiting.has(id);
  }

  /** False: too many wait already, or this id does; nothing was added. */
  add(command, deadlineMs) {
    if (this.#waiting.size >= IN_FLIGHT_MAX || this.#waiting.has(command.id)) return false;
    this.#waiting.set(command.id, { command, deadlineMs, sent: false });
    return true;
  }

  /** Its reply has come: the command, or null for an id nobody waits for. */
  settle(id) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting?.command ?? null;
  }

  /** What has to be written now, of those `maySend` lets through; counts as sent from here on. */
  unsent(maySend) {
    const ready = [...this.#waiting.values()].filter(({ command, sent }) => !sent && maySend(command));
    for (const waiting of ready) waiting.sent = true;
    return ready.map(({ command }) => command);
  }

  /** The server said "retry": true if the command now waits for the next connection. */
  hold(id) {
    const waiting = this.#waiting.get(id);
    return waiting !== undefined && repeatable(waiting.command);
  }

  /** The connection is lost. Returned: what was sent and can't be repeated, no longer waiting. */
  cut() {
    const lost = [];
    for (const [id, waiting] of this.#waiting) {
      if (!waiting.sent) continue;
      if (repeatable(waiting.command)) {
        waiting.sent = false;
        waiting.command = raised(waiting.command);
      } else {
        this.#waiting.delete(id);
        lost.push(waiting.command);
      }
    }
    return lost;
  }

  /** Commands whose time is over, no longer waiting. */
  overdue(nowMs) {
    const late = [...this.#waiting.values()].filter(({ deadlineMs }) => deadlineMs <= nowMs);
    for (const { command } of late) this.#waiting.delete(command.id);
    return late.map(({ command }) => command);
  }

  /** The session is over: everything, no longer waiting. */
  drain() {
    const commands = [...this.#waiting.values()].map(({ command }) => command);
    this.#waiting.clear();
    return commands;
  }
}
