"""state_equal: at the end every screen shows the same room, and it is the store's.

The truth is the room's stream folded to its last event, and each sale's feed folded to its last row.
Every viewer present when the night had settled must have the same cart, explaining and status, and of
each sale a stock whose version is no older than the last change a viewer can see and whose numbers are
the feed's. Beyond the end: every stock anybody was ever shown must be the feed's own at exactly the
``(epoch, seq)`` it claims.
"""

from __future__ import annotations

from loadtest.verdict.case import Case, Connection, Message
from loadtest.verdict.feed import Sale, fold_all
from loadtest.verdict.room import Room, envelope_of, stocks_in
from loadtest.verdict.tally import Finding, Tally


def check(case: Case) -> Finding:
    tally = Tally()
    truth = Room()
    for entry in case.stream:
        truth.hear_event(envelope_of(entry)["event"])
    sales = fold_all(case)
    expected = truth.look()
    _shown_stocks(tally, case, sales)
    settled_ms = case.marks.get("settled")
    if settled_ms is None:
        tally.wrong("the night never settled: there is no instant at which all should agree")
        return tally.finding()
    present = 0
    for user, connections in case.people().items():
        last = connections[-1]
        if last.shut_ms < settled_ms:
            gone = last.shut_by == "leave"
            if not gone:
                tally.wrong(f"{user} was cut at {last.shut_ms} ({last.shut_by}) and did not come back")
            continue
        present += 1
        _same(tally, user, _screen(connections, case.room), expected, sales, truth)
    tally.remark(f"{present} screens compared")
    return tally.finding() if present else Tally().finding()


def _screen(connections: list[Connection], room: str) -> Room:
    screen = Room()
    for connection in connections:
        for item in connection.items:
            if item.kind == "frame" and item.body.get("room") == room:
                screen.hear_frame(item.body)
    return screen


def _same(
    tally: Tally, user: str, screen: Room, expected: Message, sales: dict[str, Sale], truth: Room
) -> None:
    look = screen.look()
    for part, value in expected.items():
        tally.expect(look[part] == value, f"{user} has another {part}: {_short(look[part])}")
    for sale_id, stock in screen.stock.items():
        sale = sales.get(sale_id)
        if sale is None:
            tally.expect(False, f"{user} was shown a sale {sale_id} that has no feed")
            continue
        fresh = sale.seen_seq <= stock["seq"] <= sale.seq
        tally.expect(fresh, f"{user} ended at {sale_id} seq {stock['seq']}, the feed at {sale.seen_seq}")
        same = stock["available"] == sale.available
        tally.expect(same, f"{user} ended with {stock['available']} of {sale_id}, the feed {sale.available}")
        done = (stock["status"] == "closed") == sale.closed
        tally.expect(done, f"{user} ended with {sale_id} {stock['status']}")


def _shown_stocks(tally: Tally, case: Case, sales: dict[str, Sale]) -> None:
    seen_frames: set[int] = set()
    for connection in case.connections:
        for item in connection.items:
            if item.kind != "frame" or id(item.body) in seen_frames:
                continue
            seen_frames.add(id(item.body))  # a frame is one object for all who received it
            for stock in stocks_in(item.body):
                sale = sales.get(stock["saleId"])
                truth = sale.available_at(stock["epoch"], stock["seq"]) if sale else None
                at = f"{stock['saleId']} at {stock['epoch']}-{stock['seq']}"
                tally.expect(
                    truth == stock["available"],
                    f"{connection.user} was shown {stock['available']} of {at}, the feed has {truth}",
                )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
