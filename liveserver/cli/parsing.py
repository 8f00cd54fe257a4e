"""What people type, as values: money, durations, items, changes of stock. Pure.

Every function raises ``ValueError`` with a text that says what is wrong and how to say it right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import NamedTuple

from protocol.limits import AMOUNT_MAX, VARIANT_CHARS_MAX
from protocol.types import ID_PATTERN, ID_WORDS

_MONEY = re.compile(r"[¥￥]?\s?(\d{1,14})(?:\.(\d{1,2}))?", re.ASCII)
_ID = re.compile(ID_PATTERN)
_COUNT = re.compile(r"\d{1,16}", re.ASCII)
_CHANGE = re.compile(r"[+-]\d{1,16}", re.ASCII)
_DURATION = re.compile(
    r"(?:(\d{1,7})d)?(?:(\d{1,7})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s)?(?:(\d{1,12})ms)?", re.ASCII
)
_UNITS_MS = (86_400_000, 3_600_000, 60_000, 1_000, 1)


class ItemText(NamedTuple):
    """``VARIANT:PRICE:STOCK`` as typed; ``variant`` is empty for a product of one kind."""

    variant: str
    price_fen: int
    stock: int


def money_fen(text: str) -> int:
    """``9.9``, ``9.90``, ``¥9.90`` → 990. Never through a float: 0.29 is 29, not 28."""
    found = _MONEY.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no price: write yuan with at most two decimals, like 9.90")
    fen = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
    if fen > AMOUNT_MAX:
        raise ValueError(f"{text!r} is more than a price can be")
    return fen


def yuan(fen: int) -> str:
    """990 → ``9.90``."""
    return f"{fen // 100}.{fen % 100:02d}"


def duration_ms(text: str) -> int:
    """``500ms``, ``5s``, ``10m``, ``1h30m``, ``2d`` → milliseconds. A number alone has no unit: refused."""
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None or not any(found.groups()):
        raise ValueError(f"{text!r} is no duration: write it with a unit, like 5s, 10m or 1h30m")
    return sum(int(part) * unit for part, unit in zip(found.groups(), _UNITS_MS, strict=True) if part)


def duration_between(text: str, least_ms: int, most_ms: int) -> int:
    """As ``duration_ms``, and no shorter or longer than that."""
    given_ms = duration_ms(text)
    if not least_ms <= given_ms <= most_ms:
        raise ValueError(f"{text!r} is not from {spelled(least_ms)} to {spelled(most_ms)}")
    return given_ms


def spelled(milliseconds: int) -> str:
    """As ``duration_ms`` reads it: 90,000 → ``1m30s``."""
    parts, left = [], milliseconds
    for unit, name in zip(_UNITS_MS, ("d", "h", "m", "s", "ms"), strict=True):
        if left >= unit:
            parts.append(f"{left // unit}{name}")
            left %= unit
    return "".join(parts) or "0s"


def day_ms(text: str) -> int:
    """``2027-01-31``: the first millisecond of that day, in this machine's zone, since the epoch."""
    try:
        day = datetime.combine(date.fromisoformat(text.strip()), time())
    except ValueError:
        raise ValueError(f"{text!r} is no day: write it like 2027-01-31") from None
    return int(day.astimezone().timestamp() * 1000)


def item(text: str) -> ItemText:
    """``red,M:9.90:100`` or, for a product of one kind, ``9.90:100``. The variant may hold colons."""
    parts = text.rsplit(":", 2)
    if len(parts) < 2:
        raise ValueError(f"{text!r} is no item: write VARIANT:PRICE:STOCK, like red,M:9.90:100")
    variant = parts[0].strip() if len(parts) == 3 else ""
    if len(variant) > VARIANT_CHARS_MAX:
        raise ValueError(f"a variant is at most {VARIANT_CHARS_MAX} characters: {variant!r}")
    return ItemText(variant, money_fen(parts[-2]), units(parts[-1]))


def wire_id(text: str) -> str:
    """An id as the wire takes it: of a user, a room, a listing, a sale, a command."""
    if not _ID.match(text):
        raise ValueError(f"{text!r} is no id: write {ID_WORDS}")
    return text


def items(texts: Sequence[str]) -> list[ItemText]:
    """Each as ``item``; no variant twice."""
    parsed = [item(text) for text in texts]
    for place, each in enumerate(parsed):
        if any(same_variant(each.variant, other.variant) for other in parsed[:place]):
            raise ValueError(
                f"variant {each.variant!r} is there twice: give each variant once, with all its units"
            )
    return parsed


def same_variant(one: str, other: str) -> bool:
    """As people write them: ``Red, M`` is ``red,m``."""
    return one.casefold().replace(" ", "") == other.casefold().replace(" ", "")


def units(text: str) -> int:
    """A stock of units."""
    found = _COUNT.fullmatch(text.strip())
    if found is None or int(found[0]) > AMOUNT_MAX:
        raise ValueError(f"{text!r} is no stock: write a whole number of units, like 100")
    return int(found[0])


def change(text: str) -> int:
    """``+50`` or ``-3``: the sign is written out, so that nobody sets where he meant to add."""
    found = _CHANGE.fullmatch(text.strip())
    if found is None or abs(int(found[0])) > AMOUNT_MAX or int(found[0]) == 0:
        raise ValueError(f"{text!r} is no change of stock: write it with its sign, like +50 or -3")
    return int(found[0])
