"""What this process counts, as its scrape shows it. Everything is read when somebody scrapes."""

from __future__ import annotations

from liveserver.core.conservation import Conservation
from liveserver.edge.metrics import Labelled, Metrics
from liveserver.stock.journal_files import JournalFiles
from liveserver.store.relay import ValkeyRelay

from .broadcaster import Broadcaster
from .gate import Gate
from .load import Load
from .rooms import Rooms
from .standstills import Standstills
from .stock_desk import StockDesk
from .tasks import Tasks


def register(
    metrics: Metrics,
    *,
    gate: Gate,
    rooms: Rooms,
    desk: StockDesk,
    law: Conservation,
    relay: ValkeyRelay,
    tasks: Tasks,
    broadcaster: Broadcaster,
) -> None:
    """The hub's readings. Those of the conservation law stand together, so that one scrape shows that it
    holds: danmaku offered = written + merged + sampled + paused + closed, and the other two likewise."""
    metrics.gauge("sessions", "Open connections.", lambda: gate.session_count)
    metrics.gauge(
        "commands_waiting", "Comments and likes put aside for what is urgent.", lambda: gate.waiting
    )
    metrics.gauge("rooms", "Rooms this process holds.", lambda: len(rooms.all()))
    metrics.gauge("seats", "Sessions in rooms.", lambda: sum(len(live.seats) for live in rooms.all()))
    metrics.gauge(
        "sender",
        "By which sender ticks' frames leave.",
        lambda: {broadcaster.sender.name: 1},
        label="kind",
    )
    metrics.gauge("store_up", "Did the store answer the last beats?", lambda: int(rooms.beats.store_answers))
    metrics.counter(
        "danmaku_units", "Conservation law, (danmaku, session) pairs.", lambda: _danmaku(law), label="fate"
    )
    metrics.counter(
        "state_units", "Conservation law, (update, session) pairs.", lambda: _state(law), label="fate"
    )
    metrics.counter(
        "critical_units",
        "Conservation law, (critical event, session) pairs.",
        lambda: _critical(law, rooms),
        label="fate",
    )
    metrics.counter(
        "purchases", "Purchases answered, by outcome.", lambda: desk.outcomes.count, label="outcome"
    )
    metrics.counter(
        "purchases_replayed", "Purchases answered from their first grant.", lambda: desk.outcomes.replayed
    )
    metrics.counter(
        "purchases_latched",
        "Purchases answered sold_out without asking the store.",
        lambda: desk.outcomes.latched,
    )
    metrics.counter(
        "purchases_settled_late",
        "Purchases answered pending whose outcome came after all.",
        lambda: desk.outcomes.settled_late,
    )
    metrics.counter("relay_published", "Chunks told to other processes.", lambda: relay.counts.published)
    metrics.counter("relay_dropped", "Chunks given up before the store.", lambda: relay.counts.dropped)
    metrics.counter(
        "relay_lost",
        "Chunks of others that never came, by their numbering.",
        lambda: sum(live.others.lost for live in rooms.all()),
    )
    metrics.counter("tasks_refused", "Work refused because there was too much.", lambda: tasks.refused)


def register_journal(metrics: Metrics, journal: JournalFiles) -> None:
    metrics.counter("journal_lines", "Acknowledgements noted in the journal.", lambda: journal.lines)
    metrics.counter(
        "journal_failed", "Calls that could not be noted: the journal has a gap.", lambda: journal.failed
    )


def register_standstills(metrics: Metrics, standstills: Standstills) -> None:
    metrics.histogram("loop_lag_seconds", "How late the event loop called a timer.", standstills.lag)
    metrics.histogram(
        "collector_pause_seconds", "How long a run of the cycle collector took.", standstills.collector
    )


def register_load(metrics: Metrics, load: Load, rooms: Rooms) -> None:
    metrics.gauge(
        "loop_lag_ms", "Median lag of the event loop in the last second.", lambda: load.ladder.lag_ms
    )
    metrics.gauge(
        "ladder_rung", "What is given up under load: 0 nothing, 3 new connections.", lambda: load.ladder.at
    )
    metrics.gauge(
        "rooms_tightened",
        "Rooms that show less of their danmaku than their share.",
        lambda: sum(live.sharing.percent < 100 for live in rooms.all()),
    )


def _danmaku(law: Conservation) -> Labelled:
    return {
        "offered": law.danmaku_offered,
        "written": law.danmaku_written,
        "merged": law.danmaku_merged,
        "sampled": law.danmaku_sampled,
        "paused": law.danmaku_paused,
        "closed": law.danmaku_closed,
    }


def _state(law: Conservation) -> Labelled:
    return {
        "updates": law.state_updates,
        "written": law.state_written,
        "superseded": law.state_superseded,
        "paused": law.state_paused,
        "closed": law.state_closed,
    }


def _critical(law: Conservation, rooms: Rooms) -> Labelled:
    open_seats = sum(live.delivery.advance_of_open_seats() for live in rooms.all())
    return {
        "advanced": law.critical_moved + open_seats,
        "written": law.critical_written,
        "replayed": law.critical_replayed,
        "covered": law.critical_covered,
    }
