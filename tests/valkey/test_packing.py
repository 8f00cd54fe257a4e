"""Our connections pack commands in C: the bytes are those redis-py makes, and it refuses what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import DataError

from liveserver.valkey.connect import call_client

ARGUMENT = st.one_of(
    st.text(), st.binary(), st.integers(), st.floats(allow_nan=False), st.just("CONFIG SET"), st.just("a b")
)


def connection() -> AbstractConnection:
    made = call_client("unix:///nowhere").connection_pool.make_connection()  # type: ignore[no-untyped-call]
    assert isinstance(made, AbstractConnection)
    return made


@given(st.lists(ARGUMENT, max_size=20), st.sampled_from(["EVALSHA", "CONFIG SET", b"GET", b"CONFIG GET"]))
def test_the_bytes_are_redis_py_s(arguments: list[Any], name: str | bytes) -> None:
    ours = connection()
    theirs = b"".join(AbstractConnection.pack_command(ours, name, *arguments))
    assert b"".join(ours.pack_command(name, *arguments)) == theirs


@pytest.mark.parametrize("bad", [None, True, ["x"], object()])
def test_what_it_refuses_is_refused(bad: Any) -> None:
    with pytest.raises(DataError):
        connection().pack_command("SET", "key", bad)
