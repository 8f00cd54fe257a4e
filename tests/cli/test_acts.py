"""From what was typed to the command it means. Pure: no server."""

from __future__ import annotations

import pytest

from liveserver.cli import acts, naming
from liveserver.cli.anywhere import common_first
from liveserver.cli.parsing import ItemText
from protocol.codec import JSON
from protocol.commands import AdjustStock, CloseSale, OrderCart, UpdateListing

from .rooms import SAUCE, SWEATER, room, sale

ITEMS = [ItemText("red,M", 9_900, 60), ItemText("藏青 M", 10_950, 30)]


def test_a_listing_by_number_or_id() -> None:
    assert naming.listing(room(), "3") == SWEATER
    assert naming.listing(room(), "sweater") == SWEATER
    for wrong in ("2", "03", "", "３"):
        with pytest.raises(naming.Unnamed, match=r"there is 3 \(羊绒毛衣\), 1 "):
            naming.listing(room(), wrong)


def test_an_item_by_its_variant_or_id() -> None:
    assert naming.item(SWEATER, "RED, m").item_id == "sweater.1"
    assert naming.item(SWEATER, "藏青M").item_id == "sweater.2"
    assert naming.item(SWEATER, "sweater.2").item_id == "sweater.2"
    assert naming.item(SAUCE, "").item_id == "sauce.1"
    for wrong in ("", "green"):
        with pytest.raises(naming.Unnamed, match="red,M, 藏青 M"):
            naming.item(SWEATER, wrong)


def test_a_sale_by_its_listing_is_the_last_that_is_not_closed() -> None:
    mirror = room(
        sale("s0", SAUCE, status="closed"),
        sale("s1", SWEATER, status="closed"),
        sale("s2", SWEATER),
        sale("s3", SWEATER, status="closed"),
        sale("s4", SAUCE, status="closed"),
    )
    assert naming.sale(mirror, "3").sale_id == "s2"
    assert naming.sale(mirror, "1").sale_id == "s4"  # all are closed: the last
    assert naming.sale(mirror, "s1").sale_id == "s1"  # or by its own id
    with pytest.raises(naming.Unnamed, match="sale open 3"):
        naming.sale(room(), "3")


def test_the_same_command_id_makes_the_same_bytes() -> None:
    """Ids nobody chose come from the command id: a repeat is done once, and is no conflict."""

    def listed(command_id: str) -> bytes:
        made = acts.publish(
            room(), command_id, room="r1", title="毛衣", items=ITEMS, line="", photo="", listing_id=""
        )
        return JSON.encode(made.command)

    def opened(command_id: str) -> bytes:
        made = acts.open_sale(
            room(),
            command_id,
            room="r1",
            name="3",
            limit=1,
            opens_in_ms=0,
            duration_ms=60_000,
            hold_ms=1_000,
            sale_id="",
        )
        return JSON.encode(made.command)

    for make in (listed, opened):
        assert make("c1") == make("c1")
        assert make("c1") != make("c2")
        JSON.decode_command(make("c1"))  # and the server would take it


def test_updating_keeps_the_ids_of_known_variants() -> None:
    items = [ItemText("绿色", 9_900, 5), ItemText("藏青 M", 8_800, 30)]
    made = acts.update(room(), "c1", room="r1", name="3", title=None, items=items, line=None, photo=None)
    assert isinstance(made.command, UpdateListing) and made.command.items is not None
    ids = {each.variant: each.item_id for each in made.command.items}
    assert ids["藏青 M"] == "sweater.2"
    assert ids["绿色"] not in ("sweater.1", "sweater.2")


def test_ordering_names_the_whole_cart() -> None:
    made = acts.order(room(), "c1", room="r1", names=["1"])
    assert made.command == OrderCart(id="c1", room="r1", listing_ids=["sauce", "sweater"])
    with pytest.raises(ValueError, match="twice"):
        acts.order(room(), "c1", room="r1", names=["1", "sauce"])


def test_adjusting_and_closing_name_the_sale() -> None:
    mirror = room(sale("s1", SWEATER))
    made = acts.adjust(mirror, "c1", room="r1", name="3", variant="red,M", delta=-3, reason="one broke")
    assert made.command == AdjustStock(
        id="c1", room="r1", sale_id="s1", item_id="sweater.1", delta=-3, reason="one broke"
    )
    assert acts.close(mirror, "c2", room="r1", name="3").command == CloseSale(
        id="c2", room="r1", sale_id="s1"
    )


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["r1", "explain", "3", "--url", "ws://h"], ["--url", "ws://h", "r1", "explain", "3"]),
        (["r1", "explain", "3", "--token=x"], ["--token=x", "r1", "explain", "3"]),
        (["--token", "x", "r1", "show"], ["--token", "x", "r1", "show"]),
        (["r1", "adjust", "3", "--", "-3", "--url"], ["r1", "adjust", "3", "--", "-3", "--url"]),
        (["r1", "show", "--url"], ["r1", "show", "--url"]),
        (["r1", "list", "--title", "x"], ["r1", "list", "--title", "x"]),
    ],
)
def test_common_options_may_stand_anywhere(typed: list[str], read: list[str]) -> None:
    assert common_first(typed) == read
