"""The report for a person."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def show(report: dict[str, Any], console: Console) -> None:
    table = Table(title=f"stock, {report['commit'] or 'no commit'}, seed {report['seed']}")
    for heading in ("figure", "median", "rounds", "target", "met"):
        table.add_column(heading, justify="left" if heading == "figure" else "right", no_wrap=True)
    for name, figure in rows(report):
        target = figure.get("target")
        spread = f"{_number(figure['low'])} to {_number(figure['high'])}"
        met = {True: "yes", False: "MISSED", None: ""}[figure.get("met")]
        wanted = "" if target is None else f"{figure.get('target_is', 'at least')} {_number(target)}"
        table.add_row(name, _number(figure["value"]), spread, wanted, met)
    console.print(table)
    for name, proof in report["ledger_verify"].items():
        console.print(
            f"ledger verify ({name}): every law holds over {proof['reservations']:,} reservations in"
            f" {proof['rows']:,} rows, {proof['seconds']} s"
        )
    read = report["feed_reader"]
    rows_read = ", ".join(f"{rows:,} rows ({name})" for name, rows in read["rows"].items())
    console.print(f"the feed was read meanwhile by a process {read['process']}: {rows_read}")
    machine = report["machine"]
    console.print(
        f"{machine['cpu']}, {machine['cores']} cores, {report['store']}, Python {machine['python']}; "
        f"{report['seconds']} s; load average before {report['load_average']['before']}"
    )


def rows(report: dict[str, Any], under: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every figure with its whole name."""
    found: list[tuple[str, dict[str, Any]]] = []
    for name, value in report.items():
        if isinstance(value, dict):
            path = f"{under}{name}"
            found += [(path, value)] if "value" in value else rows(value, f"{path}.")
    return found


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
