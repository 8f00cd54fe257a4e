"""One command of the control client, from the connection to the exit code.

Exit codes: 0 done, 1 refused (certainly not done), 2 wrong usage (typer's), 3 unknown: it may have been done;
sending it again with the same ``--command-id`` is safe, and tells.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec
import typer

from liveserver.cli.naming import Unnamed
from liveserver.cli.target import Target, target
from protocol.client.aio import (
    CommandRefused,
    ConnectFailed,
    ConnectionEnded,
    Live,
    LiveError,
    NotEntered,
    OutcomeUnknown,
    Room,
    connect,
)
from protocol.client.mirror import Mirror
from protocol.close import Close
from protocol.commands import Command
from protocol.replies import Done

REFUSED = 1
UNKNOWN = 3
REMEDIES: dict[str, str] = {
    "bad_token": "mint one with `liveserver token` and the server's own --data-dir",
    "token_expired": "mint a fresh one with `liveserver token`",
    "forbidden": "use a token whose role and rooms allow it (--role streamer --room …)",
    "unknown_listing": "`show` lists what is in the cart",
    "listing_exists": "change it with `update`, or give another --id",
    "cart_full": "`withdraw` something first",
    "sale_running": "`close` its sale first",
    "sale_conflict": "give another --id, or none",
    "below_held": "take away no more than what `show` says is left",
    "room_ended": "`start` the room first",
    "conflict": "give another --command-id, or none",
}
"""What to do about a refusal, by its stable code."""

TOKEN_CODES: dict[int, str] = {Close.BAD_TOKEN: "bad_token", Close.TOKEN_EXPIRED: "token_expired"}
SEEN_S_MAX = 5.0  # how long we wait to see in the room what was done


class Act(NamedTuple):
    """A command, and what to say once it is done (read from the room as it then is)."""

    command: Command
    said: Callable[[Mirror], str]


Build = Callable[[Mirror, str], Act]
"""From the room and the command id. Raises ``Unnamed`` for what isn't there, ``ValueError`` for what can't
be."""


class Speaker(msgspec.Struct, frozen=True):
    """The common options of one run, as given: looked at only when something is said, so that ``--help``
    needs none of them."""

    room: str
    url: str
    token: str
    token_file: Path | None
    command_id: str
    timeout_ms: int

    def target(self) -> Target:
        return target(self.url, self.token, self.token_file)

    def say(self, build: Build) -> None:
        """Send one command, print what became of it, and exit by it."""
        command_id = self.command_id or f"c.{secrets.token_hex(8)}"

        async def act(live: Live, room: Room) -> None:
            command, said = build(room.mirror, command_id)
            done = await live.ask(command, Done)
            await _seen(room, done)
            again = "  (it had been done before)" if done.duplicate else ""
            typer.echo(said(room.mirror) + again)

        self._run(act, command_id)

    def look(self, show: Callable[[Mirror, float], None]) -> None:
        """Hand the room as it is now, and the server's time in ms, to ``show``."""

        async def act(live: Live, room: Room) -> None:
            show(room.mirror, live.server_ms())

        self._run(act, "")

    def _run(self, act: Callable[[Live, Room], Awaitable[None]], command_id: str) -> None:
        where = self.target()
        try:
            asyncio.run(self._session(where, act))
        except Unnamed as error:
            fail(REFUSED, str(error))
        except ValueError as error:  # a shape said no before anything was sent
            fail(REFUSED, str(error))
        except CommandRefused as error:
            if error.code == "pending":
                fail(UNKNOWN, f"unknown: it may have been done. {_again(command_id)}")
            fail(REFUSED, f"refused: {error}{_remedy(error)}")
        except OutcomeUnknown as error:
            fail(UNKNOWN, f"unknown ({error.why}): it may have been done. {_again(command_id)}")
        except NotEntered as error:
            fail(REFUSED, f"{error}; nothing was sent")
        except (ConnectFailed, ConnectionEnded) as error:
            fail(REFUSED, no_session(where.socket_url, error))
        except KeyboardInterrupt:
            fail(UNKNOWN, f"stopped: if it had been sent, it may have been done. {_again(command_id)}")

    async def _session(self, where: Target, act: Callable[[Live, Room], Awaitable[None]]) -> None:
        async with connect(
            where.socket_url,
            where.token,
            command_timeout_ms=self.timeout_ms,
            open_timeout_ms=self.timeout_ms,
        ) as live:
            await act(live, await live.join(self.room))


def no_session(url: str, error: LiveError) -> str:
    """Why there is none (any more), and what to do about it."""
    code = error.code if isinstance(error, ConnectFailed) else ""
    if isinstance(error, ConnectionEnded):
        code = TOKEN_CODES.get(error.code, "")
    return f"no session with {url}: {error}{remedy(code) or '. Is it running?'}"


def remedy(code: str) -> str:
    """A sentence to end a refusal with; empty where nothing can be said."""
    return f". {REMEDIES[code][0].upper()}{REMEDIES[code][1:]}" if code in REMEDIES else ""


def _remedy(error: CommandRefused) -> str:
    return remedy(error.code) or (f". Try again in {error.retry_ms} ms" if error.retry_ms else "")


def _again(command_id: str) -> str:
    return (
        f"Sending it again with --command-id {command_id} is safe: it is done at most once, and you are told."
    )


async def _seen(room: Room, done: Done) -> None:
    """Wait, not for long, until the room shows what was done: it comes on another lane than the reply."""
    try:
        async with asyncio.timeout(SEEN_S_MAX):
            while not room.mirror.follows(done.epoch, done.offset) and done.offset > 0:
                await anext(room)
    except (TimeoutError, StopAsyncIteration):
        pass


def fail(code: int, text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(code) from None
