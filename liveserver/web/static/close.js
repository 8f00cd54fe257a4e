// Why a connection ended and whether to come back: the browser's copy of protocol/close.py, which is the
// catalogue. An unknown code means: come back, gently.
//
// One rule differs: 4003 (the token has expired) says "come back with a fresh one", and a page that was
// opened by a link has no other token. So for the page it is the end.

const FINAL = new Map([
  [1000, "normal"],
  [1002, "protocol_error"],
  [1003, "unsupported_data"],
  [1007, "invalid_data"],
  [1008, "policy"],
  [1009, "too_big"],
  [4002, "bad_token"],
  [4003, "token_expired"],
]);

/** True if a client that was closed with `code` should connect again. */
export function mayReconnect(code) {
  return !FINAL.has(code);
}

/** The stable name of a final close code, "" for one to come back from. */
export function finalReason(code) {
  return FINAL.get(code) ?? "";
}
