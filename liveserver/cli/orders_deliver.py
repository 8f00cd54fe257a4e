"""``liveserver orders deliver``: a process that carries rows to an order service, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from redis.asyncio import Redis

from liveserver.cli.counted import counted
from liveserver.cli.faults import in_words
from liveserver.cli.ledger_store import DataDirOption, RedisUrlOption, place
from liveserver.cli.logs import configure_logging
from liveserver.cli.orders_options import DEFAULT_GROUP, GroupOption, SaleOption, group_of, run, sale_of
from liveserver.cli.orders_progress import shown
from liveserver.cli.parsing import duration_ms
from liveserver.orders import limits
from liveserver.orders.attempts import Patience
from liveserver.orders.deliverer import Deliverer
from liveserver.orders.delivery import Throttle
from liveserver.orders.signature import secret_of
from liveserver.orders.webhook import Webhook
from liveserver.store.datadir import socket_in_use
from liveserver.store.server_clock import ServerClock

UNDELIVERED = 1
ATTEMPTS_MOST = 1_000
AT_ONCE_MOST = 256


def deliver(
    ctx: typer.Context,
    url: Annotated[
        str,
        typer.Option(
            envvar="LIVESERVER_ORDERS_URL", help="Where each row is POSTed to, http:// or https://."
        ),
    ],
    group: GroupOption = DEFAULT_GROUP,
    sale: SaleOption = "",
    secret_file: Annotated[
        Path | None,
        typer.Option(
            envvar="LIVESERVER_ORDERS_SECRET_FILE",
            help="A file with the secret that signs deliveries (as Standard Webhooks); else unsigned.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is left to deliver.")] = False,
    attempts: Annotated[
        int, typer.Option(min=1, max=ATTEMPTS_MOST, help="Of one row; then it is a dead letter.")
    ] = limits.ATTEMPTS_MAX,
    timeout: Annotated[str, typer.Option(help="For one answer, like 5s; at most 12s.")] = "10s",
    at_once: Annotated[
        int, typer.Option(min=1, max=AT_ONCE_MOST, help="Requests under way.")
    ] = limits.AT_ONCE,
    redis_url: RedisUrlOption = "",
    data_dir: DataDirOption = None,
) -> None:
    """Deliver every held, confirmed, released, expired and returned reservation to an order service.

    One POST a row, a JSON object; 2xx takes it. `Idempotency-Key` is the row's id (sale/epoch-seq): a row may
    come twice, after a crash or a lost answer, and always under the same key. A reservation's rows come in
    their order. 4xx other than 408, 409, 425 and 429 makes a dead letter of the row; everything else is tried
    again, Retry-After honoured, and a dead letter after the last attempt. Start several processes to share
    the sales: what one of them leaves, another takes over within 15 seconds.

    Exits 0; with --once, 1 if a row became a dead letter or a feed can't be read.

    Examples:  liveserver orders deliver --url https://shop.example/hooks/orders --secret-file hook.secret

               liveserver orders deliver --url http://127.0.0.1:9000/ --once
    """
    named, group, sale = _url(url), group_of(group), sale_of(sale)
    secret, timeout_ms, where = _secret(secret_file), _timeout(timeout), place(ctx)
    if not once and not where.redis_url and socket_in_use(where.data_dir) is None:
        raise typer.BadParameter(
            f"no server runs in {where.data_dir}: start one, or give --once to deliver what is there",
            param_hint="--data-dir",
        )
    configure_logging()

    async def work(client: Redis) -> Deliverer:
        sink = Webhook(named, secret=secret, timeout_ms=timeout_ms, at_once=at_once)
        try:
            clock = ServerClock()
            await clock.sync(client)
            deliverer = Deliverer(
                client,
                Throttle(sink, clock, at_once=at_once),
                clock,
                group=group,
                owner=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
                sale_id=sale,
                patience=Patience(attempts_max=attempts),
            )
            async with shown(deliverer):
                await _until_told(deliverer.drain() if once else deliverer.run())
            return deliverer
        finally:
            await sink.aclose()

    ended = run(work, where)
    typer.echo(
        f"{counted(ended.totals.delivered, 'row')} delivered, {counted(ended.totals.dead, 'dead letter')}",
        err=True,
    )
    for sale_id, why in ended.unreadable.items():
        typer.echo(f"{sale_id} could not be read: {why}", err=True)
    if once and (ended.totals.dead or ended.unreadable):
        raise typer.Exit(UNDELIVERED)


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """Ctrl-C and SIGTERM end it in order: requests are cut off, leases given back."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        if not task.cancelled():
            raise
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise typer.BadParameter(
            f"{text!r} is no address: write it like https://shop.example/hooks/orders", param_hint="--url"
        )
    return text


def _secret(path: Path | None) -> bytes:
    if path is None:
        return b""
    try:
        return secret_of(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"can't be used: {in_words(error)}", param_hint="--secret-file") from None


def _timeout(text: str) -> int:
    try:
        found = duration_ms(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--timeout") from None
    if not 0 < found <= limits.TIMEOUT_MS_MAX:
        raise typer.BadParameter(
            f"more than nothing, and at most {limits.TIMEOUT_MS_MAX // 1000}s", param_hint="--timeout"
        )
    return found
