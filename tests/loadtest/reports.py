"""Reports to draw."""

from __future__ import annotations

from loadtest.report.model import Bar, Bars, Grid, Line, Mark, Plot, Report


def report(name: str = "danmaku_flood", **changed: object) -> Report:
    """One of everything there is to see."""
    made = Report(
        kind="scenario",
        name=name,
        prose="A quiet room, then a loud one.",
        command="make load SCENARIO=danmaku_flood",
        commit="0123456789ab",
        seed=7,
        machine={"cores": 2, "libraries": {"uvloop": "0.23.0"}},
        began_ms=1_763_838_000_000,
        seconds=61.5,
        ok=False,
        marks=[
            Mark(name="replies p99", value=41.2, unit="ms", mark=45, met=True, low=39.1, high=44),
            Mark(name="critical p99", value=61.2, unit="ms", mark=45, met=False, control="quiet: 30 ms"),
            Mark(name="ratio to Bun", value=None, mark=1, note="NOT COMPARED: it is not installed"),
        ],
        figures={"p99_ms": 41.2, "peers": {"bun": None}},
        plots=[
            Plot(
                title="Latency over time",
                x_label="s",
                x=[0, 1, 2, 3],
                y_label="ms",
                lines=[
                    Line(label="critical", values=[30, 31, None, 35]),
                    Line(label="replies", values=[20, 21, 25, 24]),
                ],
            ),
            Plot(
                title="Percentiles",
                x_label="percentile",
                x=[50, 90, 99, 100],
                y_label="ms",
                percentiles=True,
                lines=[Line(label="critical", values=[20, 30, 41, 60])],
            ),
            Plot(
                title="Growth",
                x_label="viewers",
                x=[18_000, 1_000, 5_000],
                y_label="µs",
                log_x=True,
                log_y=True,
                lines=[Line(label="ours", values=[12, 10, 11])],
            ),
        ],
        bars=[
            Bars(
                title="CPU per frame",
                unit="µs",
                mark=11.2,
                bars=[
                    Bar(label="ours", value=10.9, low=10.5, high=11.4),
                    Bar(label="C", value=9.7, control=True),
                    Bar(label="Bun", value=None, control=True, note="NOT COMPARED"),
                ],
            )
        ],
        grids=[Grid(title="Lanes", columns=["lane", "written"], rows=[["danmaku", "1,830"]])],
        notes=["NOT COMPARED: bun, it is not installed"],
    )
    for field, value in changed.items():
        setattr(made, field, value)
    return made
