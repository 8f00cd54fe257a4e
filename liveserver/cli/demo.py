"""``liveserver demo``: a whole sale night on this machine, judged.

    demo_wanted.py    what was asked for; whether to stop
    demo_folders.py   where it writes
    demo_night.py     the night, from its server's start to its verdict
    demo_audience.py  the audience, a process of its own
    demo_workers.py   what is done to the server's processes, and notes of how they ended
    demo_judged.py    who judges, in processes of their own
    demo_screen.py    what is shown meanwhile
    demo_join.py      how somebody joins

It starts the embedded store and the server in this process (with workers: the server's processes beneath
it), and the audience in one of its own, which dies with us whatever happens; shows what goes on; then has the
verdict judge the journal. Ctrl-C at any time ends all of it, in order; a second Ctrl-C does not wait.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop
from rich.console import Console

from liveserver.app import StoreUnfitError
from liveserver.cli.demo_folders import check_folder, check_writable, private_folder
from liveserver.cli.demo_night import NOT_STARTED, Night
from liveserver.cli.demo_wanted import Wanted
from liveserver.cli.logs import configure_logging
from liveserver.cli.serve_faults import why
from liveserver.cli.settings import settings
from liveserver.store.binary import NoStoreError
from liveserver.store.datadir import DataDirInUseError
from liveserver.store.embedded import StoreStartError
from liveserver.workers.process import WorkerFailedError
from liveserver.workers.supervisor import WORKERS_MAX

VIEWERS_MIN, VIEWERS_MAX = 10, 5_000
SECONDS_MIN, SECONDS_MAX = 5, 3_600

CANNOT_START: Final = (
    NoStoreError,
    DataDirInUseError,
    StoreStartError,
    StoreUnfitError,
    WorkerFailedError,
    OSError,
)


def demo(
    viewers: Annotated[int, typer.Option(min=VIEWERS_MIN, max=VIEWERS_MAX, help="How many watch.")] = 300,
    seconds: Annotated[
        float, typer.Option(min=SECONDS_MIN, max=SECONDS_MAX, help="How long the night is.")
    ] = 30,
    seed: Annotated[int | None, typer.Option(help="Same seed, same plan; else a new one.")] = None,
    replay: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A recording to play (.jsonl or .jsonl.gz)."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(dir_okay=False, help='Write {"ok", "checks", "figures"} here.')
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(file_okay=False, help="Keep the journal in this new directory.")
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="End after the verdict.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes any free one.")] = 0,
    data_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="Keep the store here; else it is gone at the end.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, max=WORKERS_MAX, help="Serve from so many processes; 0: from this one.")
    ] = 0,
    kill_worker_at: Annotated[
        float | None,
        typer.Option(min=0, help="So many seconds into the night, kill a worker with -9."),
    ] = None,
    roll_at: Annotated[
        float | None,
        typer.Option(min=0, help="So many seconds into the night, relieve every worker, as SIGHUP does."),
    ] = None,
) -> None:
    """Play a sale night on this machine and judge it: store, server, audience, verdict.

    Exit codes: 0 every check holds, 1 one does not, 2 it could not start, 130 broken off.

    Example:  liveserver demo --viewers 300 --seconds 30

    Example:  liveserver demo --headless --seconds 20 --report r.json --journal journal/

    Example:  liveserver demo --seconds 30 --workers 2 --kill-worker-at 12

    Example:  liveserver demo --seconds 30 --workers 2 --roll-at 10
    """
    configure_logging(level="warning")
    if journal is not None and journal.exists() and any(journal.iterdir()):
        raise typer.BadParameter("is not empty: a journal is written into a new one", param_hint="--journal")
    for hint, at_s in (("--kill-worker-at", kill_worker_at), ("--roll-at", roll_at)):
        if at_s is not None and not workers:
            raise typer.BadParameter("needs --workers: the demo's own process can't", param_hint=hint)
        if at_s is not None and at_s >= seconds:
            raise typer.BadParameter(f"the night is over after {seconds:g} s", param_hint=hint)
    if kill_worker_at is not None and roll_at is not None:
        raise typer.BadParameter("one night, one of them: not with --kill-worker-at", param_hint="--roll-at")
    if report is not None:
        check_writable(report, "--report")
    if journal is not None:
        check_folder(journal, "--journal")
    console = Console(highlight=False)
    with private_folder() as folder:
        wanted = Wanted(
            folder=folder,
            journal=journal or folder / "journal",
            viewers=viewers,
            seconds=seconds,
            seed=secrets.randbelow(1_000_000) if seed is None else seed,
            replay=replay,
            report=report,
            headless=headless,
            workers=workers,
            kill_worker_at=kill_worker_at,
            roll_at=roll_at,
        )
        chosen = settings(
            port=port, data_dir=data_dir, redis_url="", secret=secrets.token_urlsafe(48), log_level="warning"
        )
        try:
            code = uvloop.run(Night(console, wanted).run(chosen))
        except CANNOT_START as error:
            typer.echo(f"the demo can't start: {why(error, chosen.host, port)}", err=True)
            code = NOT_STARTED
    raise typer.Exit(code)
