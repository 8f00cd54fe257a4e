"""Figures as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

DIGITS: Final = 4  # that count, of a figure: nothing here is measured more exactly


def shown(value: float | None) -> str:
    """``18,204``, ``3.142``, ``0.0021``; a figure that isn't there is a dash."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == int(value) or abs(value) >= 10 ** (DIGITS - 1):
        return f"{round(value):,}"
    places = DIGITS - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{places}f}".rstrip("0").rstrip(".")


def flat(figures: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of nested figures, a name's parts joined by dots."""
    if isinstance(figures, dict):
        for name, inner in figures.items():
            yield from flat(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(figures, list):
        yield path, ", ".join(text for inner in figures for _, text in flat(inner))
    elif isinstance(figures, bool) or not isinstance(figures, int | float):
        yield path, "–" if figures is None else str(figures)
    else:
        yield path, shown(figures)
