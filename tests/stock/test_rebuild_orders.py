"""The order service's file: both formats, and what is wrong is named with its line."""

from __future__ import annotations

import pytest

from liveserver.cli.ledger_format import ORDER_COLUMNS, Format, header, order_line
from liveserver.stock.export import OrderLine
from liveserver.stock.port import Line, ReservationState
from liveserver.stock.rebuild_orders import OrderFileError, read_orders

ORDER = OrderLine(
    "s1",
    "s1~ann~0",
    "ann",
    "c1",
    ReservationState.CONFIRMED,
    (Line("red:M", 2), Line("blue", 1)),
    5,
    65,
    7,
    3,
)


HEAD = "sale_id,reservation_id,user_id,command_id,state,lines\n"


@pytest.mark.parametrize("form", list(Format))
def test_what_export_writes_is_read_again(form: Format) -> None:
    text = header(form, ORDER_COLUMNS) + order_line(form)(ORDER) * 2
    assert list(read_orders("orders", text.splitlines(keepends=True))) == [ORDER, ORDER]


def test_what_an_order_service_does_not_know_may_be_missing() -> None:
    (read,) = read_orders(
        "f",
        ["user_id,sale_id,reservation_id,command_id,lines,state\n", "ann,s1,s1~ann~0,c1,red=1,returned\n"],
    )
    assert (read.state, read.epoch, read.lines) == (ReservationState.RETURNED, 0, (Line("red", 1),))


def test_an_empty_file_has_none() -> None:
    assert list(read_orders("f", [])) == list(read_orders("f", ["\n"])) == []


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["{}\n"], "f, line 1: "),
        (['{"sale_id":"s1"', "\n"], "f, line 1: "),
        ([order_line(Format.JSONL)(ORDER), "\n", "x\n"], "f, line 3: "),
        ([order_line(Format.JSONL)(ORDER).replace("confirmed", "paid")], "`$.state`"),
        ([HEAD, "s1,s1~a~0,a,c,held,red\n"], "f, line 2: lines are item=quantity"),
        ([HEAD, "s1,s1~a~0,a,c,paid,red=1\n"], "f, line 2: "),
        (["\n", HEAD, "s1,s1~a~0,a,c,held,red=1\n", "s1\n"], "f, line 4: "),
        (["\n", "{}\n"], "f, line 2: "),
        (["hello\n"], "f, line 1: neither JSON lines nor a CSV of orders"),
        (["\n", "hello\n", "world\n"], "f, line 2: neither"),
        (["[{}]\n"], "neither"),
        (["sale_id,lines\n"], "reservation_id, user_id, command_id, state are missing"),
        ([HEAD.replace("state,", "")], "and state is missing"),
        ([HEAD, "s1,s1~a~0,a,c,held,red=1" + "x" * 140_000], "f, line 2: field larger"),
    ],
)
def test_what_is_wrong_is_named(lines: list[str], text: str) -> None:
    with pytest.raises(OrderFileError) as refused:
        list(read_orders("f", lines))
    assert text in str(refused.value)
