"""``liveserver streamer ROOM orders``: what was reserved, paid, given back, read from the sale's own feed.

Over REST, page by page, so nothing is missed however long one was away. The printed units are the ledger's;
no number here is a display's.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from datetime import datetime
from typing import Annotated

import msgspec
import typer

from liveserver.cli.naming import sale, variant_of
from liveserver.cli.speaking import REFUSED, Speaker, fail, remedy
from liveserver.cli.target import Target
from liveserver.edge.api import OrderPage, OrderRow
from protocol.client.mirror import Mirror

PAGE_ROWS = 200
PAGE_BYTES_MAX = 4 * 1024 * 1024
POLL_S = 1.0
ANSWER_S_MAX = 10.0
TRIES_MAX = 30  # failures in a row while following


class Refusal(Exception):
    """The server's problem, in its own words. ``again``: asking later may succeed."""

    def __init__(self, text: str, *, again: bool) -> None:
        super().__init__(text)
        self.again = again


class Totals:
    """Units by the present state of their reservation. Pure."""

    def __init__(self) -> None:
        self._units: dict[str, tuple[str, int]] = {}  # reservation id -> state, units

    def take(self, row: OrderRow) -> None:
        held = row.reservation
        self._units[held.reservation_id] = (held.state, sum(line.quantity for line in held.lines))

    def words(self) -> str:
        """``3 confirmed, 1 held``."""
        sums: Counter[str] = Counter()
        for state, units in self._units.values():
            sums[state] += units
        return ", ".join(f"{units} {state}" for state, units in sorted(sums.items())) or "nothing"


def line_of(row: OrderRow, mirror: Mirror) -> str:
    """``12:03:44  confirmed  u17  3 red,M ×1  <reservation id>``, time of this machine's zone."""
    held = row.reservation
    what = ", ".join(f"{variant_of(mirror, line.item_id)} ×{line.quantity}" for line in held.lines)
    at = datetime.fromtimestamp(row.at_ms / 1000).astimezone()
    return f"{at:%H:%M:%S}  {held.state:<9}  {row.user_id}  {what}  {held.reservation_id}"


def orders(
    ctx: typer.Context,
    listing: Annotated[
        str, typer.Argument(metavar="[LISTING]", help="Its number or id, or a sale's id; else all.")
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new ones until Ctrl-C.")] = False,
) -> None:
    """Print the orders of a listing's sale (of all the room's sales): held, confirmed, expired, released.

    Example:  liveserver streamer r1 orders 3 --follow
    """
    speaker = ctx.find_object(Speaker)
    assert speaker is not None
    sale_ids: list[str] = []
    seen: list[Mirror] = []

    def note(mirror: Mirror, server_ms: float) -> None:
        seen.append(mirror)
        sale_ids.extend(
            [sale(mirror, listing).sale_id] if listing else [each.sale_id for each in mirror.sales]
        )

    speaker.look(note)
    if not sale_ids:
        typer.echo("no sale has been opened in this room")
        return
    totals = Totals()
    try:
        _print_all(speaker.target(), sale_ids, seen[0], totals, follow)
    except KeyboardInterrupt:
        typer.echo("")
    except Refusal as error:
        fail(REFUSED, str(error))
    typer.echo(f"units: {totals.words()}")


def _print_all(where: Target, sale_ids: list[str], mirror: Mirror, totals: Totals, follow: bool) -> None:
    cursors = dict.fromkeys(sale_ids, "")
    failures = 0
    while True:
        news = 0
        for sale_id in sale_ids:
            try:
                page = fetch(where, sale_id, cursors[sale_id])
            except Refusal as error:
                failures += 1
                if not follow or not error.again or failures > TRIES_MAX:
                    raise
                typer.echo(f"({error}; trying again)", err=True)
                continue
            failures = 0
            for row in page.orders:
                totals.take(row)
                typer.echo(line_of(row, mirror))
            cursors[sale_id] = page.next
            news += len(page.orders)
        if news == 0:
            if not follow:
                return
            time.sleep(POLL_S)


def fetch(where: Target, sale_id: str, after: str) -> OrderPage:
    """One page behind the cursor ``after`` (empty: from the start). Raises ``Refusal``."""
    query = urllib.parse.urlencode({"after": after, "limit": PAGE_ROWS})
    url = f"{where.http_url}/v1/sales/{urllib.parse.quote(sale_id, safe='')}/orders?{query}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {where.token}"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S_MAX) as answer:
            body = answer.read(PAGE_BYTES_MAX + 1)
        return msgspec.json.decode(body, type=OrderPage)
    except urllib.error.HTTPError as error:
        raise Refusal(_problem(error), again=error.code in (429, 502, 503, 504)) from None
    except (OSError, TimeoutError) as error:
        raise Refusal(f"no answer from {where.http_url}: {error}", again=True) from None
    except msgspec.DecodeError as error:
        raise Refusal(f"{where.http_url} is no liveserver: {error}", again=False) from None


def _problem(error: urllib.error.HTTPError) -> str:
    class Problem(msgspec.Struct):
        code: str
        detail: str = ""

    try:
        problem = msgspec.json.decode(error.read(64 * 1024), type=Problem)
    except (msgspec.DecodeError, OSError):
        return f"refused with HTTP {error.code}"
    return f"refused: {problem.code}: {problem.detail}{remedy(problem.code)}"
