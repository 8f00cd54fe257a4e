"""The benchmarks of the handshake and of memory in their shortest form: that they measure what they say.
Never how fast, and never how much."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtest.bench.doors import client
from loadtest.bench.doors.client import Callers, UnansweredError, browser_head, payloads, said
from loadtest.bench.doors.keys import ALGORITHMS
from loadtest.bench.doors.servers import CONTROLS, SANSIO
from loadtest.bench.handshake import rounds as handshake
from loadtest.bench.handshake.report import Findings
from loadtest.bench.memory import report as memory_report
from loadtest.bench.memory import rounds as memory
from loadtest.report.model import Report, read
from protocol.codec import JSON
from protocol.commands import Join

RUN_S_MAX = 120.0  # when it hangs
SOCKETS = 40


def measured(folder: Path, name: str) -> Report:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    file = folder / "figures.json"
    command = [sys.executable, "-m", "loadtest", "bench", name, "--quick", "--sockets", str(SOCKETS)]
    done = subprocess.run(
        [*command, "--rounds", "1", "--no-install", "--json", str(file)],
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = read(file)
    compared = {note.split(": ")[1] for note in report.notes if note.startswith("NOT COMPARED")}
    compared |= report.figures["peers"].keys()
    assert compared == set(CONTROLS), "each is measured, or it is said why not"
    assert SANSIO in report.figures["peers"]
    return report


@pytest.mark.slow
def test_bench_handshake_measures_what_it_says(tmp_path: Path) -> None:
    report = measured(tmp_path, "handshake")
    assert {mark.name for mark in report.marks} == {"handshakes_per_s", "handshakes_token_join_per_s"}
    for what in ("", "token_first_", "token_", "token_join_"):
        assert report.figures[f"handshakes_{what}per_s"] > 0
    assert report.figures["keys"].keys() == set(ALGORITHMS)
    ratio = report.figures["handshakes_per_s"] / report.figures["peers"][SANSIO]["handshakes_per_s"]
    assert report.figures[f"ratio_to_{SANSIO}"] == pytest.approx(ratio, rel=1e-3)
    assert report.figures["size"] == {"sockets": SOCKETS, "rounds": 1}


@pytest.mark.slow
def test_bench_memory_measures_what_it_says(tmp_path: Path) -> None:
    report = measured(tmp_path, "memory")
    assert {mark.name for mark in report.marks} == {"pss_kb_per_viewer", "pss_kb_per_joined_viewer"}
    assert report.figures["peers"][SANSIO]["pss_kb_per_socket"] > 0


def test_figures_follow_from_the_rounds() -> None:
    costs = {"ours": [0.0001, 0.0002], "sansio": [0.0003, 0.0004]}
    done = {"token_first": [0.001, 0.001], "token": [0.0005, 0.0005], "token_join": [0.0003, 0.0002]}
    run = handshake.Measured(
        handshake.QUICK, {"ours": "1", "sansio": "2"}, {"bun": "no npm"}, costs, done, {"ES256": done}
    )
    found = Findings(run)
    assert found.figures["handshakes_per_s"].value == pytest.approx(7_500)
    assert found.figures["ratio_to_sansio"].value == pytest.approx(2.5)
    assert [mark.met for mark in found.marks] == [False, True]
    assert found.notes == ["NOT COMPARED: bun: no npm"]
    filled = memory.Measured(
        memory.QUICK, {"ours": "1", "c": "2"}, {}, {"ours": [2.5, 3.5], "c": [0.0, 0.1]}, [5.0, 6.0]
    )
    kept = memory_report.Findings(filled)
    assert [(mark.value, mark.met) for mark in kept.marks] == [(3.0, True), (5.5, True)]
    assert "ratio_to_c" not in kept.figures, "nothing is divided by a socket that holds nothing"


# -- the client ----------------------------------------------------------------------------------------


def test_what_is_said_is_a_command_in_a_frame() -> None:
    frame = said({"type": "join", "id": "j", "room": "r"})
    payload = bytes(byte ^ frame[2 + (index & 3)] for index, byte in enumerate(frame[6:]))
    assert frame[0] == 0x81 and frame[1] == 0x80 | len(payload)
    assert JSON.decode_command(payload) == Join(id="j", room="r")


def test_only_whole_frames_are_counted() -> None:
    frames = b"\x81\x02ab" + b"\x82\x7e\x00\x80" + b"x" * 128
    assert payloads(frames) == [b"ab", b"x" * 128]
    assert payloads(frames[:-1]) == [b"ab"]


@contextmanager
def one_who_answers(answer: bytes) -> Iterator[int]:
    """A listener that reads one head, answers so, and goes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            one, _ = listener.accept()
            with one:
                while not one.recv(4096).endswith(b"\r\n\r\n"):
                    pass
                one.sendall(answer)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield listener.getsockname()[1]
        serving.join(client.ANSWER_S_MAX)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b'HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x10{"type":"error"}',
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81",
    ],
)
def test_a_server_that_answers_wrongly_is_not_measured(answer: bytes) -> None:
    with one_who_answers(answer) as port, Callers(port) as callers, pytest.raises(UnansweredError):
        callers.open([browser_head(port, "/v1/live")], frames=1)
