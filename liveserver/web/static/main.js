// Puts the page together: token → connection → mirror → what is seen. Everything shown is drawn from the
// mirror, on one animation frame after something happened, and four times a second for the countdowns.

import { Bookings } from "./booking.js";
import { Buying } from "./buying.js";
import { Connection, nowMs } from "./connection.js";
import { Mirror } from "./mirror.js";
import { Places } from "./place.js";
import { Reservations } from "./reservations.js";
import { takeToken } from "./ticket.js";
import { Cart } from "./ui/cart.js";
import { Chat } from "./ui/chat.js";
import { Composer } from "./ui/composer.js";
import { byId, setLabel, setText } from "./ui/dom.js";
import { Flying } from "./ui/flying.js";
import { Likes } from "./ui/likes.js";
import { Popup } from "./ui/popup.js";
import { toast } from "./ui/toasts.js";
import { Top } from "./ui/top.js";
import { currentLanguage, switchLanguage, words } from "./words.js";

const REDRAW_MS = 250;
const GOOD = new Set(["reserved", "waiting"]); // outcomes
const ASK_AGAIN_MS = 2_000; // the ledger could not be asked what is mine: a little later it can
const room = decodeURIComponent(location.pathname.split("/").at(-1));
const token = takeToken(room);
const socketUrl = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/v1/live`;

const connection = new Connection({ url: socketUrl, token, room, listen });
const session = connection.session;
const empty = new Mirror(room); // what is drawn once the server has shut us out of the room
const mirror = () => session.links.get(room)?.mirror ?? empty;
const reservations = new Reservations();
const buying = new Buying({ command: send, settle: purchaseSettled });
const bookings = new Bookings(Math.random);
const places = new Places(Math.random);
let myUserId = "";
let mutedUntilMs = 0;
let shutOutBecause = token === "" ? "no_token" : "";

const context = () => ({
  mirror: mirror(),
  reservations,
  buying,
  bookings,
  serverMs: connection.serverMs(),
  buy: (saleId, itemId) => buying.start(room, saleId, itemId),
  release: (reservationId) => send("release", { reservationId }),
});

const chat = new Chat();
const flying = new Flying();
const cart = new Cart(context);
const popup = new Popup(context);
const top = new Top(room);
const likes = new Likes((count) => send("like", { room, count }), draw);
const composer = new Composer(say);

function send(type, fields, id) {
  return connection.command(type, fields, id);
}

function say(text) {
  const id = send("danmaku", { room, text });
  if (id === "") toast(words().outcome.notSent, "bad");
  else chat.sending(id, text);
  return id !== "";
}

// -- what happened -------------------------------------------------------------------------------------------

const ON = {
  welcomed({ welcome }) {
    myUserId = welcome.userId;
    chat.iAm(myUserId);
  },
  notWelcome({ reply }) {
    shutOutBecause = reply.code;
  },
  roomRefused({ reply }) {
    shutOutBecause = reply.code;
  },
  entered({ me }) {
    mutedUntilMs = me.mutedUntilMs ?? 0;
    for (const reservation of me.reservations ?? []) reservations.offer(reservation);
    if (me.known === false) setTimeout(() => connection.askAgain(room), ASK_AGAIN_MS);
  },
  snapshotted({ snapshot }) {
    for (const danmaku of snapshot.recent ?? []) chat.show(danmaku);
  },
  happened({ envelope: { event } }) {
    EVENT[event.type]?.(event);
  },
  danmakuShown({ danmaku, repeats = [], gifts = [], entered = 0, own = false }) {
    for (const each of danmaku) {
      const [id, userId, , text, role] = each;
      if (chat.show(each) || own) flying.show({ id, userId, text, role, isMine: userId === myUserId });
    }
    for (const each of repeats) chat.repeat(each);
    for (const each of gifts) chat.gift(each);
    chat.entered(entered);
  },
  answered({ commandId, command, reply }) {
    ANSWER[command.type]?.(commandId, command, reply);
  },
  unknown({ commandId, command }) {
    if (command.type === "purchase") buying.unknown(commandId, nowMs());
    else if (command.type === "danmaku") chat.lost(commandId, "unknown");
    else if (command.type === "like") likes.settled(command.count);
  },
  noticed({ notice }) {
    if (notice.reservation !== undefined) reservations.offer(notice.reservation);
    if (notice.kind === "muted") mutedUntilMs = notice.untilMs ?? 0;
    const isGood = notice.kind === "reservationConfirmed" || notice.kind === "reservationServed";
    toast(words().notice[notice.kind] ?? notice.kind, isGood ? "good" : "");
  },
};

const EVENT = {
  danmakuDeleted({ danmakuId }) {
    chat.remove(danmakuId);
    flying.hide({ id: danmakuId });
  },
  userMuted({ userId, untilMs }) {
    if (userId === myUserId) mutedUntilMs = untilMs;
    if (untilMs <= 0) return;
    chat.removeUser(userId);
    flying.hide({ userId });
  },
};

const ANSWER = {
  danmaku(commandId, command, reply) {
    if (reply.type === "receipt") chat.receipt(commandId, reply);
    else chat.lost(commandId, reply.code);
  },
  like(commandId, command) {
    likes.settled(command.count);
  },
  purchase(commandId, command, reply) {
    buying.answered(commandId, reply, nowMs());
  },
  release(commandId, command, reply) {
    if (reply.type !== "reservation") return toast(words().outcome.other, "bad");
    const waited = reservations.get(command.reservationId)?.state === "waiting";
    reservations.offer(reply.reservation);
    return toast(waited ? words().leftLine : words().notice.reservationReleased);
  },
};

function purchaseSettled(outcome, again) {
  const { reservation } = outcome;
  const before = reservations.get(reservation?.reservationId)?.state;
  if (reservation != null) {
    reservations.offer(reservation, outcome.outcome === "waiting" ? (outcome.ahead ?? 0) : null);
  }
  if (!again) toast(outcomeWords(outcome), GOOD.has(outcome.outcome) ? "good" : "bad");
  else if (before === "waiting" && reservation?.state === "held") {
    toast(words().notice.reservationServed, "good"); // the notice was lost: it comes once at most
  }
}

function outcomeWords({ outcome, saleId }) {
  const hasLine = mirror().sale(saleId)?.waitlist > 0;
  if (outcome === "sold_out" && hasLine) return words().lineFull;
  return words().outcome[outcome] ?? words().outcome.other;
}

/** Whoever stands in line learns his place anew, now and then; not where nobody looks. */
function askForPlaces() {
  if (document.hidden) return;
  const isSold = ({ saleId }) => mirror().sale(saleId)?.stock.status === "open";
  for (const place of places.due(reservations.places().filter(isSold), nowMs())) buying.again(room, place);
}

function listen(happening) {
  ON[happening.happening]?.(happening);
  draw();
}

// -- what is seen --------------------------------------------------------------------------------------------

let isDrawing = false;

function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    redraw();
  });
}

function connectionNow() {
  if (shutOutBecause !== "") return { state: "over", leftMs: 0, because: shutOutBecause };
  if (session.state === "over") return { state: "over", leftMs: 0, because: session.overBecause };
  if (session.state === "live") return { state: "live", leftMs: 0, because: "" };
  if (session.reconnectAtMs === null) return { state: "connecting", leftMs: 0, because: "" };
  return { state: "waiting", leftMs: session.reconnectAtMs - nowMs(), because: "" };
}

function redraw() {
  const serverMs = connection.serverMs();
  document.title = `${room} · ${words().live}`;
  top.update(mirror(), connectionNow(), likes.ahead);
  cart.update();
  popup.update();
  likes.label();
  composer.update({
    mutedUntilMs: mutedUntilMs > serverMs ? mutedUntilMs : 0,
    isOpen: session.state === "live" && mirror().status !== "ended",
  });
  setText(byId("chatTitle"), words().chat);
  setText(byId("languageSwitch"), words().language);
  setLabel(byId("languageSwitch"), words().languageLabel);
  setText(byId("danmakuSwitch"), words().danmaku);
  setLabel(byId("danmakuSwitch"), words().danmakuLabel);
  byId("danmakuSwitch").setAttribute("aria-pressed", String(flying.isOn));
  document.documentElement.lang = currentLanguage() === "zh" ? "zh-CN" : "en";
}

byId("languageSwitch").addEventListener("click", () => {
  switchLanguage();
  draw();
});
byId("danmakuSwitch").addEventListener("click", () => {
  flying.toggle();
  draw();
});
addEventListener("hashchange", () => {
  if (location.hash.includes("token=")) {
    takeToken(room);
    location.reload();
  }
});
setInterval(() => {
  const due = bookings.due((saleId) => mirror().sale(saleId), connection.serverMs());
  for (const { saleId, itemId } of due) buying.start(room, saleId, itemId);
  askForPlaces();
  buying.tick(nowMs());
  draw();
}, REDRAW_MS);
draw();
if (token !== "") connection.start();
