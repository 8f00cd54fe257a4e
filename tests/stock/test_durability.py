"""What is asked of a server, held against what it can do: the whole table."""

from __future__ import annotations

from itertools import product

import pytest

from liveserver.stock.durability import Promise
from liveserver.stock.port import Durability
from liveserver.valkey.server import ServerFacts, fsyncs_every_write

ALL = MEMORY, FSYNCED, REPLICATED = Durability.MEMORY, Durability.FSYNCED, Durability.REPLICATED


def server(
    *, appendonly: bool = True, appendfsync: str = "always", replicas: int = 0, cluster: bool = False
) -> ServerFacts:
    return ServerFacts(
        "valkey", (9, 1, 2), "0" * 40, appendonly, appendfsync, "noeviction", replicas, cluster
    )


@pytest.mark.parametrize(
    ("promise", "facts", "reason"),
    [
        (Promise(), server(appendonly=False), ""),
        (Promise(MEMORY), server(appendonly=False), ""),
        (Promise(FSYNCED), server(), ""),
        (
            Promise(FSYNCED),
            server(appendonly=False),
            "no log. Set appendonly yes and appendfsync always",
        ),
        (Promise(FSYNCED), server(appendfsync="everysec"), "appendfsync is everysec. Set appendfsync always"),
        (Promise(FSYNCED), server(appendfsync=""), "doesn't tell its appendfsync. Allow us CONFIG GET"),
        (Promise(FSYNCED), server(appendfsync="no", replicas=3), "appendfsync is no"),
        (Promise(REPLICATED), server(replicas=1), ""),
        (Promise(REPLICATED), server(appendonly=False, replicas=1), ""),
        (Promise(REPLICATED, replicas=2), server(replicas=2), ""),
        (Promise(REPLICATED, replicas=2), server(replicas=1), "1 of 2 replicas are in step"),
        (Promise(REPLICATED), server(), "0 of 1 replicas are in step. Connect replicas"),
        (Promise(REPLICATED), server(replicas=1, cluster=True), "on a cluster"),
    ],
)
def test_what_a_server_cannot_do_is_said_with_what_helps(
    promise: Promise, facts: ServerFacts, reason: str
) -> None:
    said = promise.unkept_by(facts)
    assert reason in said and bool(said) == bool(reason)


def test_what_is_asked_is_the_least() -> None:
    kept = {(asked, reached) for asked, reached in product(ALL, ALL) if Promise(asked).kept_by(reached)}
    assert kept == {
        *((MEMORY, reached) for reached in ALL),
        (FSYNCED, FSYNCED),
        (REPLICATED, REPLICATED),  # one says nothing of the other
    }
    assert all(Promise().kept_by(reached) for reached in ALL)


@pytest.mark.parametrize(
    ("promise", "facts", "word"),
    [
        (Promise(), server(), FSYNCED),
        (Promise(MEMORY), server(), FSYNCED),
        (Promise(), server(appendfsync="everysec"), MEMORY),
        (Promise(), server(appendonly=False, replicas=2), MEMORY),
        (Promise(REPLICATED), server(replicas=1), REPLICATED),
    ],
)
def test_what_answers_will_say(promise: Promise, facts: ServerFacts, word: Durability) -> None:
    assert promise.offered_by(facts) is word


@pytest.mark.parametrize(
    ("answer", "on_disk"),
    [
        ([b"appendonly", b"yes", b"appendfsync", b"always"], True),
        ([b"appendfsync", b"always", b"appendonly", b"yes"], True),
        ([b"appendonly", b"yes", b"appendfsync", b"everysec"], False),
        ([b"appendonly", b"no", b"appendfsync", b"always"], False),
        ([b"appendfsync", b"always"], False),
        ([], False),
        (RuntimeError("NOPERM"), False),
    ],
)
def test_what_cannot_be_read_is_not_on_disk(answer: object, on_disk: bool) -> None:
    assert fsyncs_every_write(answer) is on_disk
