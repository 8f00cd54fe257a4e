"""Cost against control, drawn from a benchmark's figures. Pure.

A benchmark says what it measured of each server in one run as ``peers.NAME.METRIC`` (ours is ``ours``), and
the lowest and the highest round under the same name in ``low`` and ``high``. What ours and another have in
common is worth a picture; ratios and shares are drawn as marks, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from loadtest.report.model import Bar, Bars, Report

OURS: Final = "ours"
SPREAD: Final = ("low", "high")
NOT_DRAWN: Final = ("ratio_to_", "_share", "late_s")
CHARTS_MAX: Final = 24


def drawn(report: Report) -> list[Bars]:
    """The report's own bars, else those that follow from its figures."""
    return report.bars or list(_charts(report.figures))[:CHARTS_MAX]


def _charts(figures: dict[str, Any]) -> Iterator[Bars]:
    for path, peers in _peers(figures):
        ours = peers.get(OURS)
        for metric in ours if isinstance(ours, dict) else ():
            if not any(part in metric for part in NOT_DRAWN):
                bars = [
                    _bar(figures, (*path, "peers", name, metric))
                    for name, has in peers.items()
                    if isinstance(has, dict) and _number(has.get(metric)) is not None
                ]
                if len(bars) > 1:
                    yield Bars(title=" · ".join([*path, metric]).replace("_", " "), bars=bars)


def _peers(
    figures: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for name, inner in figures.items():
        if not isinstance(inner, dict) or (not path and name in SPREAD):
            continue
        if name == "peers":
            yield path, inner
        else:
            yield from _peers(inner, (*path, name))


def _bar(figures: dict[str, Any], path: tuple[str, ...]) -> Bar:
    low, high = (_number(_at(figures.get(side), path)) for side in SPREAD)
    return Bar(
        label=path[-2], value=_number(_at(figures, path)), low=low, high=high, control=path[-2] != OURS
    )


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def _number(value: Any) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
