"""A load test that is stopped says so, clears away what it made, and is not begun in vain."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Final

import pytest

from loadtest.__main__ import main

WAIT_S: Final = 60.0
BENCH: Final = ("bench", "fanout", "--quick", "--no-install", "--peers", "ours")
SCENARIO: Final = ("scenario", "many_rooms", "--short", "--seconds", "30")


def ctrl_c_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.skipif(sys.platform != "linux", reason="process groups as a terminal signals them")
@pytest.mark.parametrize(
    ("verb", "told", "code"),
    [
        pytest.param(SCENARIO, "ctrl-c", 2, id="scenario, Ctrl-C"),
        pytest.param(SCENARIO, "term", 2, id="scenario, SIGTERM"),
        pytest.param(SCENARIO, "term in the background", 2, id="scenario, SIGTERM, Ctrl-C ignored"),
        pytest.param(BENCH, "ctrl-c", 130, id="bench, Ctrl-C"),
        pytest.param(BENCH, "term", 130, id="bench, SIGTERM"),
    ],
)
async def test_what_is_stopped_leaves_nothing_and_no_traceback(
    verb: tuple[str, ...], told: str, code: int, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtest", *verb),
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # a group of its own, as of a shell's job
        preexec_fn=ctrl_c_ignored if "background" in told else None,
    )
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(WAIT_S):
        while "round 1" not in said and "connected" not in said:
            line = await process.stdout.readline()
            assert line, said
            said += line.decode()
        if told == "ctrl-c":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
        said += (await process.stdout.read()).decode()  # to the end: of all who write there
        await process.wait()
    assert process.returncode == code
    assert "stopped before the end" in said and "Traceback" not in said
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["bench", "bytes", "--json", "{tmp}/none/x.json"], "--json {tmp}/none/x.json can't be written"),
        (["bench", "bytes", "--json", "{tmp}"], "it is a folder"),
        (["scenario", "flash_sale", "--report", "{tmp}/file"], "--report {tmp}/file can't be a folder"),
        (["scenario", "flash_sale", "--viewers", "14001"], "--viewers is at most 14000; more with more"),
        (["scenario", "flash_sale", "--viewers", "25001", "--workers", "2"], "--viewers is at most 25000\n"),
        (["scenario", "soak", "--minutes", "0"], "--minutes must be more than 0"),
        (["scenario", "flash_sail"], "there is no scenario flash_sail; there are sale_night"),
    ],
)
def test_what_would_be_in_vain_is_refused_before_it_begins(
    given: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as ended:
        main([word.replace("{tmp}", str(tmp_path)) for word in given])
    assert ended.value.code == 2
    assert said.replace("{tmp}", str(tmp_path)) in capsys.readouterr().err
