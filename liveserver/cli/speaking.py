"""One command of the control client, from the connection to the exit code.

Exit codes: 0 done, 1 refused (certainly not done), 2 wrong usage (typer's), 3 unknown: it may have been done;
sending it again with the same ``--command-id`` is safe, and tells.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec
import typer

from liveserver.cli.naming import Unnamed
from liveserver.cli.target import Target, target
from liveserver.cli.typed import as_typed
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

    def say(self, build: Build, typed: Mapping[str, str] | None = None) -> None:
        """Send one command, print what became of it, and exit by it. ``typed``: wire field -> the option or
        argument it came from."""
        command_id = self.command_id or f"c.{secrets.token_hex(8)}"

        async def act(live: Live, room: Room) -> None:
            command, said = build(room.mirror, command_id)
            done = await live.ask(command, Done)
            await _seen(room, done)
            again = "  (it had been done before)" if done.duplicate else ""
            typer.echo(said(room.mirror) + again)

        self._run(act, command_id, typed or {})

    def look(self, show: Callable[[Mirror, float], None]) -> None:
        """Hand the room as it is now, and the server's time in ms, to ``show``."""

        async def act(live: Live, room: Room) -> None:
            show(room.mirror, live.server_ms())

        self._run(act, "", {})

    def _run(
        self, act: Callable[[Live, Room], Awaitable[None]], command_id: str, typed: Mapping[str, str]
    ) -> None:
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
            fail(REFUSED, _refused(error, typed))
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
    return with_remedy(f"no session with {url}: {error}", REMEDIES.get(code, "is it running?"))


def with_remedy(text: str, remedy: str) -> str:
    """What is wrong, and as a sentence of its own what to do about it, if anything."""
    if not remedy:
        return text
    stop = "" if text.endswith((".", "?", "!")) else "."
    return f"{text}{stop} {remedy[0].upper()}{remedy[1:]}"


def _refused(error: CommandRefused, typed: Mapping[str, str]) -> str:
    """With the option or argument at fault in place of the wire's field, where there is one."""
    field = as_typed(error.field, typed)
    where = f" ({field})" if field else ""
    later = f"try again in {error.retry_ms} ms" if error.retry_ms else ""
    return with_remedy(f"refused: {error.code}{where}: {error.detail}", REMEDIES.get(error.code, later))


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
