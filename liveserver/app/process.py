"""One whole process: every part made, handed what it needs, started, and stopped in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

import liveserver
from liveserver.config import Settings
from liveserver.core.clock import Clock
from liveserver.core.conservation import Conservation
from liveserver.core.limits import Rate, SessionRates
from liveserver.core.words import WordFilter
from liveserver.edge import files
from liveserver.edge.handshake import Rules
from liveserver.edge.http import http_app
from liveserver.edge.keepalive import Keepalive
from liveserver.edge.metrics import Metrics
from liveserver.edge.senders import sender as chosen_sender
from liveserver.edge.server import serve
from liveserver.edge.siblings import Post, Siblings
from liveserver.edge.tokens import Tokens
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
from liveserver.stock.port import Ledger, Reservation
from liveserver.store.kill_switch import KillSwitchStore
from liveserver.store.places import ValkeyPlaces
from liveserver.store.relay import ValkeyRelay
from liveserver.store.rooms import ValkeyRoomStore
from liveserver.store.server_clock import ServerClock
from liveserver.valkey.connect import call_client
from liveserver.valkey.server import server_facts

from .server import Running
from .tokens import token_config, verifier
from .which_store import StoreUnfitError, open_store

logger = structlog.get_logger(__name__)

DRAIN_SHARE = 0.7  # of the time to end: for WebSockets; the rest is for requests under way
WEB = Path(__file__).parent.parent / "web"
_ALPHABET = "abcdefghijkmnopqrstuvwxyz23456789"


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    on_loading: Callable[[float], None] | None = None,
    clock: Clock | None = None,
    post: Post | None = None,
    hurry: asyncio.Event | None = None,
) -> AsyncIterator[Running]:
    """A whole process: store, hub and doors. Leaving the context drains, closes and stops everything it
    started, the embedded store last. ``clock``: instead of the one steered to the store's; a test's.
    ``post``: it is one of several behind one address. ``hurry``, once set: leaving doesn't take its time."""
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
            verify=verifier(tokens, clock),
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
            leaving_ms=gate.leaving_ms,
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
        if post is not None:
            siblings = Siblings(metrics, post, process)
            stack.callback(siblings.leave_word)  # when nobody is there any more whose end would be counted
        stack.push_async_callback(serving.stop, settings.drain_seconds * (1 - DRAIN_SHARE), hurry)
        if post is not None:
            stack.push_async_callback(siblings.aclose)
            await siblings.listen()
        within_ms = int(settings.drain_seconds * DRAIN_SHARE * 1000)
        stack.push_async_callback(
            _drain, gate, steered, within_ms=within_ms, elsewhere=post is not None, hurry=hurry
        )
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


async def _drain(
    gate: Gate, clock: Clock, *, within_ms: int, elsewhere: bool, hurry: asyncio.Event | None
) -> None:
    drained = await gate.drain(clock, within_ms=within_ms, elsewhere=elsewhere, hurry=hurry)
    logger.info("drained", **drained._asdict())


def _unready(gate: Gate, rooms: Rooms) -> list[str]:
    reasons = []
    if gate.leaving_ms():
        reasons.append("draining")
    if not rooms.beats.store_answers:
        reasons.append("the store does not answer")
    return reasons


def _promise(settings: Settings) -> Promise:
    return Promise(settings.durability, settings.replicas, settings.replica_wait_ms)


async def _background(stack: AsyncExitStack, *loops: Coroutine[Any, Any, None]) -> None:
    running_loops = [asyncio.create_task(loop) for loop in loops]

    async def stop() -> None:
        for task in running_loops:
            task.cancel()
        for task in running_loops:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    stack.push_async_callback(stop)


def _block_words(settings: Settings) -> list[str]:
    if settings.block_words_file is None:
        return []
    lines = settings.block_words_file.read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]
