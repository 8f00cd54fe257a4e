"""The scripts of a sale, and what each is made of.

A script is our limits, then the parts named here (files of ``lua/parts``; ``transitions`` is the table of
``transitions.py``), then its own file. A part uses what stands before it, and says so. Each script has the
parts it needs and no others, for what is put before ``reserve.lua`` costs every purchase. A number or a
transition stands in one place, and the scripts' text (their sha) changes with it.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from liveserver.stock import limits, transitions
from liveserver.valkey.scripts import Script

_FOLDER: Final = files("liveserver.stock") / "lua"

_LIMITS: Final = "\n".join(
    (
        f"local BUYER_RECORDS_MAX = {limits.RECORDS_PER_BUYER_MAX}",
        f"local ADJUSTS_MAX = {limits.ADJUSTS_MAX}",
        f"local SERVED_MAX = {limits.SERVED_MAX}",
        f"local SWEEP_ORDERS = {limits.SWEEP_ORDERS}",
        f"local OPENED_FORMAT = {limits.OPENED_FORMAT}",
        f"local FORMAT = {limits.FORMAT}",
        f"local SKEW_MS_MAX = {limits.SKEW_MS_MAX}",
    )
)
_PARTS: Final = {  # by script, in the order in which they stand
    "open": "keys sale create",
    "reserve": "keys sale stops fences transitions records due line sweep orders batch waits",
    "confirm": "keys sale stops fences transitions records due line sweep finish",
    "release": "keys sale stops fences transitions records due line sweep finish",
    "return": "keys sale stops fences transitions records due line sweep finish",
    "expire": "keys sale stops fences transitions records due line sweep",
    "adjust": "keys sale stops fences transitions records due line commands",
    "switch": "keys sale stops fences transitions records due line commands",
    "freeze": "keys sale stops fences",
    "close": "keys sale stops fences",
    "held": "keys sale transitions records due",
    "view": "keys sale",
    "lookup": "keys",
    "rebuild_begin": "keys sale stops create",
    "rebuild_put": "keys sale transitions records due",
    "rebuild_order": "keys sale stops",
    "rebuild_end": "keys sale",
    "audit": "keys",
}


def parts_of(name: str) -> dict[str, str]:
    """What is put before the script ``name``, in order: each part's name and its text."""
    generated = {"limits": _LIMITS, "transitions": transitions.LUA}
    return {
        part: generated.get(part) or (_FOLDER / "parts" / f"{part}.lua").read_text("utf-8")
        for part in ("limits", *_PARTS[name].split())
    }


def _script(name: str) -> Script:
    return Script.read(_FOLDER, f"{name}.lua", prelude="\n".join(parts_of(name).values()))


OPEN: Final = _script("open")
RESERVE: Final = _script("reserve")
CONFIRM: Final = _script("confirm")
RELEASE: Final = _script("release")
RETURN: Final = _script("return")
EXPIRE: Final = _script("expire")
ADJUST: Final = _script("adjust")
SWITCH: Final = _script("switch")
FREEZE: Final = _script("freeze")
HELD: Final = _script("held")
CLOSE: Final = _script("close")
VIEW: Final = _script("view")
LOOKUP: Final = _script("lookup")
REBUILD_BEGIN: Final = _script("rebuild_begin")
REBUILD_PUT: Final = _script("rebuild_put")
REBUILD_ORDER: Final = _script("rebuild_order")
REBUILD_END: Final = _script("rebuild_end")
AUDIT: Final = _script("audit")


def keys_of(sale_id: str) -> tuple[str, ...]:
    """One hash tag: all of a sale lives in one slot."""
    tag = f"{{sale:{sale_id}}}"
    return (f"{tag}:meta", f"{tag}:buyers", f"{tag}:feed", f"{tag}:due", f"{tag}:adjusts", f"{tag}:line")


def feed_key(sale_id: str) -> str:
    return keys_of(sale_id)[2]


def places_key(sale_id: str) -> str:
    """Where it is shown: kept beside the ledger by ``store.places``, read by nobody here."""
    return f"{{sale:{sale_id}}}:places"


def fence_key(sale_id: str) -> str:
    """Written behind a call whose replication is awaited; means nothing, and goes away by itself."""
    return f"{{sale:{sale_id}}}:fence"
