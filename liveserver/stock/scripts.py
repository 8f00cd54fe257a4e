"""The Lua files, each with what is put before it: our limits, the transition table, common.lua.

So a number or a transition stands in one place, and the scripts' text (their sha) changes with it.
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
_PRELUDE: Final = "\n".join((_LIMITS, transitions.LUA, (_FOLDER / "common.lua").read_text("utf-8")))


def _script(name: str) -> Script:
    return Script.read(_FOLDER, name, prelude=_PRELUDE)


OPEN: Final = _script("open.lua")
RESERVE: Final = _script("reserve.lua")
CONFIRM: Final = _script("confirm.lua")
RELEASE: Final = _script("release.lua")
RETURN: Final = _script("return.lua")
EXPIRE: Final = _script("expire.lua")
ADJUST: Final = _script("adjust.lua")
SWITCH: Final = _script("switch.lua")
FREEZE: Final = _script("freeze.lua")
HELD: Final = _script("held.lua")
CLOSE: Final = _script("close.lua")
VIEW: Final = _script("view.lua")
LOOKUP: Final = _script("lookup.lua")
REBUILD_BEGIN: Final = _script("rebuild_begin.lua")
REBUILD_PUT: Final = _script("rebuild_put.lua")
REBUILD_ORDER: Final = _script("rebuild_order.lua")
REBUILD_END: Final = _script("rebuild_end.lua")
AUDIT: Final = _script("audit.lua")


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
