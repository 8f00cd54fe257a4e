"""The Autobahn cases, run by ``kosoku``, against an echo behind our own door (``echo.py``).

Two things are as we want them:
- 7.1.5, a close in the middle of a fragmented message: the case wants it answered as any other;
  ``websockets``, and so we, call it a broken rule (1002).
- 13.3 and 13.5 offer only a window of less than 15 bits for our frames. One frame serves everybody, made
  with 15: the offer is declined, and the case calls deflate unimplemented.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.edge.echo import serve_echo

WAIT_SECONDS_MAX = 600
AT_ONCE = "2"
PASSED = {"OK", "NON-STRICT", "INFORMATIONAL"}
KNOWN = {"7.1.5": ("FAILED", "WRONG CODE")}
DECLINED = ["13.3.*", "13.5.*"]
SENDS_BINARY = ["1.2.*", "9.2.*", "9.4.*", "9.6.*", "9.8.*", "12.2.*", "12.3.*", "12.5.*"]
SIZES = (1, 4, 11)  # a thousand messages each, of 16 bytes, of 1 KiB, and of 8 KiB in pieces


class Form(NamedTuple):
    text: list[str]
    binary: list[str]
    cases: int


WHOLE = Form(["*"], SENDS_BINARY, 517)
SHORT = Form(
    [f"{suite}.*" for suite in (1, 2, 3, 4, 5, 6, 7, 9, 10)]
    + [f"{suite}.{size}" for suite in ("12.1", "13.1", "13.3", "13.4", "13.7") for size in SIZES],
    [*SENDS_BINARY[:5], *[f"12.2.{size}" for size in SIZES]],
    319,
)

Verdicts = dict[str, tuple[str, str]]


async def run_cases(url: str, reports: Path, *arguments: str) -> Verdicts:
    """Each case's verdict on what was said, and on how it was closed."""
    kosoku = Path(sys.executable).with_name("kosoku")
    running = await asyncio.create_subprocess_exec(
        kosoku,
        url,
        "-p",
        AT_ONCE,
        "-o",
        reports,
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(running.communicate(), WAIT_SECONDS_MAX)
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    index = reports / "index.json"
    assert index.exists(), said.decode()
    ((_, cases),) = json.loads(index.read_text()).items()
    return {name: (case["behavior"], case["behaviorClose"]) for name, case in cases.items()}


def passed(case: str, verdict: tuple[str, str]) -> bool:
    if any(fnmatch(case, pattern) for pattern in DECLINED):
        return verdict == ("UNIMPLEMENTED", "OK")
    return PASSED.issuperset(verdict)


def options(flag: str, patterns: list[str]) -> list[str]:
    return [argument for pattern in patterns for argument in (flag, pattern)]


@pytest.mark.parametrize(
    "form", [pytest.param(SHORT, id="short"), pytest.param(WHOLE, id="whole", marks=pytest.mark.long)]
)
async def test_every_case_but_one_is_passed(
    form: Form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = await serve_echo(monkeypatch)
    url = f"ws://127.0.0.1:{echo.port}/v1/live"
    text = [*options("-i", form.text), *options("-x", SENDS_BINARY)]
    try:
        verdicts = await run_cases(url, tmp_path / "text", *text)
        verdicts |= await run_cases(f"{url}?binary", tmp_path / "binary", *options("-i", form.binary))
    finally:
        await echo.stop()
    assert {case: verdict for case, verdict in verdicts.items() if not passed(case, verdict)} == KNOWN
    assert len(verdicts) == form.cases
