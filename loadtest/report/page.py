"""Reports as one HTML file that needs nothing else: no network, no neighbours, no server.

All text stands in the file, escaped by the template engine, and is there without scripts. The lines are drawn
by uPlot (``vendor/``), from JSON beside it. A content security policy in the file's own head allows exactly
its own scripts and styles, by hash, and no request at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jinja2
import msgspec
from markupsafe import Markup

from loadtest.report import against, scale
from loadtest.report.model import Bar, Mark, Plot, Report
from loadtest.report.numbers import flat, shown

HERE: Final = Path(__file__).parent
STYLES: Final = ("vendor/uplot.css", "page.css")
SCRIPTS: Final = ("vendor/uplot.js", "page.js")
SIGNS: Final = {"at most": "≤", "at least": "≥", "exactly": "="}


def write(reports: Sequence[Report], path: Path) -> None:
    """One page of these runs, with an index if they are several. ``OSError`` if it can't be written."""
    path.write_text(page(reports), encoding="utf-8")


def page(reports: Sequence[Report]) -> str:
    styles = [(HERE / name).read_text(encoding="utf-8") for name in STYLES]
    scripts = [(HERE / name).read_text(encoding="utf-8") for name in SCRIPTS]
    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters |= {"shown": shown, "day": _day, "facts": _facts, "data": _data, "prose": _prose}
    return engine.get_template("page.html.j2").render(
        reports=reports,
        styles=[Markup(text) for text in styles],  # our own files
        scripts=[Markup(text) for text in scripts],
        policy=_policy(styles, scripts),
        signs=SIGNS,
        verdict=verdict,
        tally=tally,
        spread=spread,
        flat=lambda figures: list(flat(figures)),
        charts=against.drawn,
        of_mark=scale.of_mark,
        of_bars=scale.of_bars,
    )


def verdict(mark: Mark) -> str:
    return "not judged" if mark.met is None else "met" if mark.met else "missed"


def spread(figure: Mark | Bar) -> bool:
    """Did its rounds lie apart?"""
    return figure.low is not None and figure.high is not None and figure.low != figure.high


def tally(report: Report) -> str:
    """``7 met, 1 missed, 2 not judged``: what there is of each."""
    verdicts = [verdict(mark) for mark in report.marks]
    counts = [(verdicts.count(name), name) for name in ("met", "missed", "not judged")]
    return ", ".join(f"{count} {name}" for count, name in counts if count) or "no marks"


def _policy(styles: Sequence[str], scripts: Sequence[str]) -> str:
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src {' '.join(_hash(text) for text in styles)}",
            f"script-src {' '.join(_hash(text) for text in scripts)}",
            "img-src data:",  # the empty icon, so that no browser asks for one
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _day(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _prose(text: str) -> str:
    """Its paragraphs each one line: where a docstring breaks its lines is no business of the page."""
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in text.split("\n\n"))


def _facts(machine: dict[str, Any]) -> str:
    return " · ".join(f"{name.rpartition('.')[2]} {value}" for name, value in flat(machine))


def _data(plot: Plot) -> Markup:
    """As JSON that can't end the script it stands in."""
    return Markup(msgspec.json.encode(plot).decode().replace("<", "\\u003c"))
