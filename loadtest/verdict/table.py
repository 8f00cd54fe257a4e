"""The verdict as people read it: a coloured table on a terminal, plain lines anywhere else."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest.verdict import Verdict


def show(verdict: Verdict, console: Console) -> None:
    if not console.is_terminal:
        for name, finding in verdict["checks"].items():
            word = "ok  " if finding["ok"] else "FAIL"
            print(f"{word} {name:<17} examined {finding['examined']:>8,}", file=console.file)
            for line in finding["detail"]:
                print(f"       {line}", file=console.file)
        print("the verdict holds" if verdict["ok"] else "the verdict does NOT hold", file=console.file)
        return
    table = Table(title="verdict", title_justify="left")
    table.add_column("check")
    table.add_column("")
    table.add_column("examined", justify="right")
    table.add_column("detail", overflow="fold")
    for name, finding in verdict["checks"].items():
        mark = Text("holds", "green") if finding["ok"] else Text("FAILS", "bold red")
        table.add_row(name, mark, f"{finding['examined']:,}", Text("\n".join(finding["detail"])))
    console.print(table)
    good = "[bold green]the verdict holds[/]" if verdict["ok"] else "[bold red]the verdict does not hold[/]"
    console.print(good)
