// When to come back: full jitter, inside the server's window where it gave one. Pure: randomness is an
// argument. The browser's copy of protocol/client/backoff.py.

const BASE_MS = 1_000; // Guess: the first reconnect falls within a second
const CAP_MS = 30_000; // Guess: nobody waits longer for a server that is back
const RETRY_MS_MAX = 10 * 60_000; // what a server may ask of us at most, for each of its two numbers

const within = (value_ms) => Math.min(Math.max(value_ms, 0), RETRY_MS_MAX);

/**
 * Milliseconds to wait after `failures` (>= 0) attempts in a row failed; `random()` is in [0, 1).
 *
 * Without a window: uniform in [0, min(cap, base * 2**failures)). With one, the first attempt falls inside
 * [retryMs, retryMs + spreadMs); when that fails too, the spread grows as it would have without.
 */
export function delayMs(failures, random, { retryMs = 0, spreadMs = 0 } = {}) {
  const floor = within(retryMs);
  const spread = within(spreadMs);
  const grown = Math.min(CAP_MS, BASE_MS * 2 ** Math.min(failures, 32));
  if (floor === 0 && spread === 0) return random() * grown;
  return floor + random() * (failures === 0 ? spread : Math.max(spread, grown));
}
