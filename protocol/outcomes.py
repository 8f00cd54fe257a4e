"""What a purchase can answer, and the states of a reservation: closed sets, documented, never reworded."""

from __future__ import annotations

OUTCOMES: dict[str, str] = {
    "reserved": "the units are held for you until `expiresAtMs`; `reservation` is there",
    "waiting": "you stand in line, `ahead` others before you; when a unit comes back it is held for you",
    "sold_out": "at (`epoch`, `seq`) there was too little left for this order, or others wait for it",
    "limit_reached": "it would be more than one user may hold",
    "not_started": "the sale opens later",
    "paused": "the sale is paused",
    "frozen": "the store is being reconciled; nothing is sold until that is done",
    "closed": "the sale is over",
    "conflict": "this command id was used with other parameters",
    "unavailable": "certainly not carried out; send it again after `retryMs`",
    "pending": "unknown: it may have been carried out; send the same command again to learn",
}

RESERVATION_STATES: dict[str, str] = {
    "waiting": "in line: when a unit comes back it is held for you, with its own time to pay",
    "held": "waits for payment until `expiresAtMs`",
    "confirmed": "paid",
    "released": "given back by its owner, or for him; or its place in line was left, or lost to the limit",
    "expired": "not paid in time; the units are on sale again",
    "refund_due": "paid too late, and the units are gone: the money must go back",
    "returned": "refunded; the units may be on sale again",
}
