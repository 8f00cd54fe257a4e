"""What an operator's command asks a running server over REST, and how a refusal ends it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final, NoReturn, TypeVar
from urllib.parse import quote

import msgspec
import typer

from liveserver.cli import parsing
from liveserver.cli.rest import Refusal, call
from liveserver.cli.speaking import REFUSED, UNKNOWN, fail, with_remedy
from liveserver.cli.target import target
from protocol.replies import Done

T = TypeVar("T")
REMEDIES: Final = {
    "bad_token": "mint one with `liveserver token --role service` and the server's own --data-dir",
    "forbidden": "use a service's token (`liveserver token --role service`)",
    "unknown_sale": "`liveserver sales list` names them all",
    "all_frozen": "`liveserver sales lift` lifts it",
    "frozen": "`liveserver ledger rebuild SALE` proves it and lets it go on",
    "unknown_item": "`liveserver sales show SALE` names its items",
    "unknown_listing": "`liveserver streamer ROOM show` lists that room's",
    "below_held": "take away no more than what `sales show` says is left",
}


class Caller(msgspec.Struct, frozen=True):
    """Who says it to which server, and how its refusals end this run. Looked at only when something is said,
    so that ``--help`` needs none of it."""

    url: str
    token: str
    token_file: Path | None
    command_id: str

    def ask(self, method: str, path: str, answer: type[T]) -> T:
        try:
            return call(target(self.url, self.token, self.token_file), method, path, answer)
        except Refusal as error:
            _refused(error)

    def change(
        self,
        path: str,
        body: object = None,
        *,
        answer: type[msgspec.Struct] = Done,
        timeout_s: float = 10.0,
    ) -> None:
        where = target(self.url, self.token, self.token_file)
        key = self.command_id or f"c.{secrets.token_hex(8)}"
        try:
            call(where, "POST", path, answer, body=body, key=key, timeout_s=timeout_s)
        except Refusal as error:
            if error.unknown:
                again = f"Sending it again with --command-id {key} is safe: it is done at most once."
                fail(UNKNOWN, f"{error}: it may have been done. {again}")
            _refused(error)
        except KeyboardInterrupt:
            fail(UNKNOWN, f"stopped: it may have been done. --command-id {key} tells.")


def sale_path(sale: str) -> str:
    return f"/v1/sales/{quote(checked_id(sale, 'SALE'), safe='')}"


def room_path(room: str) -> str:
    return f"/v1/rooms/{quote(checked_id(room, 'ROOM'), safe='')}"


def room_sale_path(room: str, sale: str) -> str:
    return f"{room_path(room)}{sale_path(sale).removeprefix('/v1')}"


def checked_id(text: str, hint: str) -> str:
    """Raises ``typer.BadParameter``."""
    try:
        return parsing.wire_id(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None


def _refused(error: Refusal) -> NoReturn:
    otherwise = "try again in a moment" if error.again else ""
    fail(REFUSED, with_remedy(str(error), REMEDIES.get(error.code, otherwise)))
