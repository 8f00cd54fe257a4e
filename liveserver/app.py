"""The composition root: the only place that names concrete adapters and puts them together."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import structlog

import liveserver
from liveserver.config import Settings
from liveserver.core.clock import Clock
from liveserver.core.conservation import Conservation
from liveserver.core.identity import Identity
from liveserver.core.limits import Rate, SessionRates
from liveserver.core.words import WordFilter
from liveserver.edge import files
from liveserver.edge.handshake import Rules
from liveserver.edge.http import http_app
from liveserver.edge.keepalive import Keepalive
from liveserver.edge.metrics import Metrics
from liveserver.edge.minting import Minting
from liveserver.edge.senders import sender as chosen_sender
from liveserver.edge.server import Serving, serve
from liveserver.edge.siblings import Post, Siblings
from liveserver.edge.tokens import TokenConfig, TokenError, Tokens
from liveserver.hub.backend import Backend
from liveserver.hub.broadcaster import Broadcaster
from liveserver.hub.context import HubContext
from liveserver.hub.gate import Gate
from liveserver.hub.kill_switch import KillSwitch
from liveserver.hub.live_room import LiveRoom
from liveserver.hub.load import Load
from liveserver.hub.metrics import register, register_journal, register_load, register_standstills
from liveserver.hub.notices import Notices
from liveserver.hub.people import People
from liveserver.hub.places import KnownPlaces
from liveserver.hub.rooms import SHELVES, Rooms
from liveserver.hub.shelf import Shelf
from liveserver.hub.standstills import Standstills
from liveserver.hub.stock_desk import StockDesk
from liveserver.hub.tasks import Tasks
from liveserver.stock.durability import Promise
from liveserver.stock.journal_files import JournalFiles
from liveserver.stock.journal_ledger import JournalLedger
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.patrol import Patrol
from liveserver.stock.port import Durability, Ledger, Reservation
from liveserver.store.binary import ExternalStore, choose_store
from liveserver.store.embedded import EmbeddedValkey, Fsync
from liveserver.store.kill_switch import KillSwitchStore
from liveserver.store.places import ValkeyPlaces
from liveserver.store.relay import ValkeyRelay
from liveserver.store.rooms import ValkeyRoomStore
from liveserver.store.server_clock import ServerClock
from liveserver.valkey.connect import call_client
from liveserver.valkey.server import server_facts
from protocol.errors import CommandError

logger = structlog.get_logger(__name__)

DRAIN_SHARE = 0.7  # of the time to end: for WebSockets; the rest is for requests under way
STORE_LOOK_S = 0.5  # how often we look whether our own store still runs
WEB = Path(__file__).parent / "web"
_ALPHABET = "abcdefghijkmnopqrstuvwxyz23456789"


class Running(Minting):
    """A server that runs. ``url`` is what clients connect to, ``store_url`` what the store listens on,
    ``process`` its name."""

    def __init__(self, serving: Serving, store: Store, tokens: Tokens, clock: Clock, process: str) -> None:
        super().__init__(tokens, clock.now_ms)
        self.serving = serving
        self.process = process
        self._store = store
        self.http_url = serving.url
        self.url = socket_url(serving.url)
        self.store_url = store.url

    async def wait(self) -> None:
        """Until the server ends. ``StoreLostError`` if the embedded store ended before it."""
        ended = asyncio.create_task(self.serving.wait())
        lost = asyncio.create_task(self._store.lost())
        try:
            await asyncio.wait({ended, lost}, return_when=asyncio.FIRST_COMPLETED)
            for task in (ended, lost):
                if task.done():
                    task.result()
        finally:
            ended.cancel()
            lost.cancel()


def socket_url(http_url: str) -> str:
    return http_url.replace("http", "ws", 1) + "/v1/live"


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    on_loading: Callable[[float], None] | None = None,
    clock: Clock | None = None,
    post: Post | None = None,
) -> AsyncIterator[Running]:
    """A whole process: store, hub and doors. Leaving the context drains, closes and stops everything it
    started, the embedded store last. ``clock``: instead of the one steered to the store's; a test's.
    ``post``: it is one of several behind one address."""
    async with AsyncExitStack() as stack:
        where = await open_store(settings, stack, on_loading)
        calls = call_client(where.url)
        stack.push_async_callback(calls.aclose)
        facts = await server_facts(calls)
        if facts.evicts:
            raise StoreUnfitError(
                f"the store's maxmemory-policy is {facts.maxmemory_policy}: it would drop stock when memory "
                "runs short. Set maxmemory-policy noeviction."
            )
        promise = _promise(settings)
        if unkept := promise.unkept_by(facts):
            raise StoreUnfitError(unkept)
        steered = ServerClock()
        await steered.sync(calls)
        clock = clock or steered
        tokens = Tokens(token_config(settings))

        process = "".join(secrets.choice(_ALPHABET) for _ in range(5))
        tasks = Tasks()
        stack.push_async_callback(tasks.stop)
        people = People()
        law = Conservation()
        broadcaster = Broadcaster(asyncio.get_running_loop(), chosen_sender(settings.sender))
        store = ValkeyRoomStore(calls, on_server_time=steered.observe)
        stock_calls = call_client(where.url)  # their own: what rooms do takes no connection from a purchase
        stack.push_async_callback(stock_calls.aclose)
        ledger: Ledger = ValkeyLedger(
            stock_calls,
            clock,
            promise=promise,
            on_expired=lambda expired: desk.expired(expired),
            on_lined=lambda lined: hear_lined(lined),
        )
        hear_lined: Callable[[list[Reservation]], None] = lambda lined: desk.lined(lined)  # noqa: E731
        journal = None
        if settings.journal_folder is not None:
            journal = JournalFiles(settings.journal_folder, process, clock.now_ms)
            stack.callback(journal.close)
            ledger = noted = JournalLedger(ledger, journal, clock, on_lined=hear_lined)
            hear_lined = noted.lined
        desk = StockDesk(ledger, clock, deadline_ms=settings.purchase_deadline_ms)
        stack.push_async_callback(desk.aclose)
        gate = Gate(
            clock=clock,
            people=people,
            tasks=tasks,
            broadcaster=broadcaster,
            rates=SessionRates(danmaku=Rate(settings.danmaku_per_s, settings.danmaku_burst)),
            sessions_max=settings.sessions_max,
            seed=secrets.randbits(32),
        )
        relay = await stack.enter_async_context(
            ValkeyRelay(where.url, on_gap=lambda room: rooms.missed_relay(room))
        )

        def new_room(room_id: str) -> LiveRoom:
            return LiveRoom(
                room_id,
                process,
                store=store,
                relay=relay,
                clock=clock,
                broadcaster=broadcaster,
                law=law,
                tasks=tasks,
                on_sale=desk.concerns,
                budget_per_s=settings.danmaku_budget_per_s,
                seed=secrets.randbits(32),
                user_lines_per_s=settings.danmaku_per_s + settings.danmaku_burst,
            )

        rooms = Rooms(
            store=store,
            relay=relay,
            ledger=ledger,
            clock=clock,
            process=process,
            people=people,
            tasks=tasks,
            new_room=new_room,
            make_seat=gate.seat,
            on_sale=desk.concerns,
        )
        places = KnownPlaces(ValkeyPlaces(calls), clock)
        shelf = Shelf(ledger, places, clock, on_look=desk.shelved)
        await relay.subscribe(SHELVES, rooms.hear_of_shelves)
        desk.use(rooms, Notices(rooms, places, tasks), shelf)
        kill_switch = KillSwitch(KillSwitchStore(calls), desk, tasks, calls)
        context = HubContext(
            clock=clock,
            rooms=rooms,
            stock=desk,
            places=places,
            shelf=shelf,
            kill_switch=kill_switch,
            gate=gate,
            verify=_verifier(tokens, clock),
            words=WordFilter(_block_words(settings)),
            process=process,
            keepalive_ms=settings.keepalive_ms,
        )
        gate.use(context, rooms)
        kill_switch.use(context)

        keepalive = Keepalive(clock, ping_every_ms=settings.keepalive_ms)
        backend = Backend(
            context,
            feed_client=calls,
            unready=lambda: _unready(gate, rooms),
            shelf=shelf,
            kill_switch=kill_switch,
        )
        load = Load(clock, rooms, gate)
        metrics = Metrics()
        register(
            metrics,
            gate=gate,
            rooms=rooms,
            desk=desk,
            law=law,
            relay=relay,
            tasks=tasks,
            broadcaster=broadcaster,
        )
        register_load(metrics, load, rooms)
        register_standstills(metrics, stack.enter_context(Standstills()))
        if journal is not None:
            register_journal(metrics, journal)
        app = http_app(backend, WEB, tokens, metrics, clock, version=liveserver.__version__)
        patrol = Patrol(calls, clock, desk.sweep_unwatched)
        await _background(
            stack,
            rooms.beats.forever(),
            desk.sweep_forever(),
            patrol.run(),
            gate.watch_deadlines(),
            kill_switch.watch(),
            load.watch(),
        )
        files.raise_limit()
        serving = await serve(
            app,
            gate,
            settings.host,
            settings.port,
            clock=clock,
            rules=Rules.of(settings.allowed_origins, settings.trusted_proxies),
            keepalive=keepalive,
            metrics=metrics,
            listener=post.listener if post is not None else None,
        )
        stack.push_async_callback(serving.stop, settings.drain_seconds * (1 - DRAIN_SHARE))
        if post is not None:
            siblings = Siblings(metrics, post, process)
            stack.push_async_callback(siblings.aclose)
            await siblings.listen()
        stack.push_async_callback(_drain, gate, steered, settings.drain_seconds, elsewhere=post is not None)
        if post is not None:
            stack.callback(serving.stop_accepting)
        logger.info(
            "listening",
            url=serving.url,
            process=process,
            store=facts.product,
            durability=promise.offered_by(facts).value,
            sender=broadcaster.sender.name,
        )
        yield Running(serving, where, tokens, clock, process)


async def _drain(gate: Gate, clock: Clock, seconds: float, *, elsewhere: bool) -> None:
    drained = await gate.drain(clock, within_ms=int(seconds * DRAIN_SHARE * 1000), elsewhere=elsewhere)
    logger.info("drained", **drained._asdict())


def _unready(gate: Gate, rooms: Rooms) -> list[str]:
    reasons = []
    if gate.draining:
        reasons.append("draining")
    if not rooms.beats.store_answers:
        reasons.append("the store does not answer")
    return reasons


def _promise(settings: Settings) -> Promise:
    return Promise(settings.durability, settings.replicas, settings.replica_wait_ms)


class StoreUnfitError(Exception):
    """The store is set up in a way that would lose sales, or can't keep what was asked of it."""


class StoreLostError(Exception):
    """The embedded store ended by itself: its disk is full, or somebody ended it."""


class Store(msgspec.Struct, frozen=True):
    """Where the rooms and the stock are."""

    url: str
    embedded: EmbeddedValkey | None = None

    async def lost(self) -> None:
        """Returns never; raises ``StoreLostError`` when our own store has ended."""
        while self.embedded is None or self.embedded.alive:  # noqa: ASYNC110  a process's end is no event
            await asyncio.sleep(STORE_LOOK_S)
        raise StoreLostError(f"the embedded store has ended; its log: {self.embedded.log_path}")


async def open_store(
    settings: Settings, stack: AsyncExitStack, on_loading: Callable[[float], None] | None
) -> Store:
    """The store to use; an embedded one is started, and stopped last."""
    environ = {"LIVESERVER_REDIS_URL": settings.redis_url, "LIVESERVER_VALKEY_BIN": settings.valkey_bin}
    chosen = choose_store(environ)
    if isinstance(chosen, ExternalStore):
        return Store(chosen.url)
    # Who asks for no more than memory doesn't wait for a disk.
    fsync: Fsync = "everysec" if settings.durability is Durability.MEMORY else "always"
    embedded = await EmbeddedValkey.start(
        settings.data_dir, binary=chosen, fsync=fsync, on_loading=on_loading
    )
    stack.push_async_callback(embedded.stop)
    return Store(embedded.url, embedded)


async def _background(stack: AsyncExitStack, *loops: Coroutine[Any, Any, None]) -> None:
    running_loops = [asyncio.create_task(loop) for loop in loops]

    async def stop() -> None:
        for task in running_loops:
            task.cancel()
        for task in running_loops:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    stack.push_async_callback(stop)


def token_config(settings: Settings) -> TokenConfig:
    if settings.public_key:
        path = Path(settings.public_key)
        pem = settings.public_key if "BEGIN" in settings.public_key else path.read_text()
        return TokenConfig(public_key=pem, issuer=settings.issuer, audience=settings.audience)
    # Without a data directory nobody else could mint: a secret of this run is enough.
    secret = settings.secret or (
        settings.resolve_secret() if settings.data_dir else secrets.token_urlsafe(48)
    )
    return TokenConfig(secret=secret, issuer=settings.issuer, audience=settings.audience)


def _verifier(tokens: Tokens, clock: Clock) -> Callable[[str], Identity]:
    def verify(token: str) -> Identity:
        try:
            return tokens.verify(token, clock.now_ms())
        except TokenError as error:
            raise CommandError(error.code, error.detail, field="token") from error

    return verify


def _block_words(settings: Settings) -> list[str]:
    if settings.block_words_file is None:
        return []
    lines = settings.block_words_file.read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]
