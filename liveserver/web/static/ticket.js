// The token's way in: from the link's fragment, out of the address bar at once, into this tab's storage.
// A fragment never reaches a server or its logs; sessionStorage ends with the tab and survives a reload.

const key = (room) => `liveserver.token.${room}`;

/** The token for `room`, "" if this tab has none. Takes `#token=…` out of the address bar. */
export function takeToken(room) {
  const given = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  if (location.hash !== "") history.replaceState(history.state, "", location.pathname + location.search);
  try {
    if (given !== "") sessionStorage.setItem(key(room), given);
    return given !== "" ? given : (sessionStorage.getItem(key(room)) ?? "");
  } catch {
    return given; // storage may be forbidden: the token then lives until the next reload
  }
}
