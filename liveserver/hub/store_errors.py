"""What goes wrong on the way to the store, as the sender must hear it: certainly not done, or unknown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from liveserver.valkey.errors import certainly_not_executed
from protocol.errors import CommandError


@contextmanager
def store_errors(*, reading: bool = False) -> Iterator[None]:
    """``reading``: what changes nothing was certainly not done."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        if reading or certainly_not_executed(error):
            raise CommandError("unavailable", "the store is away", retry_ms=1_000) from error
        raise CommandError("pending", "the store did not answer in time", retry_ms=1_000) from error
