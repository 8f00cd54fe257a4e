"""``liveserver sales`` against a real server: what is done, what is refused, and by which exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from liveserver.app import Running
from liveserver.cli import sales, streamer
from protocol.client.aio import connect
from protocol.types import OrderLine

from .conftest import ROOM, Type

TypeSales = Callable[..., Awaitable[Result]]


@pytest.fixture
def type_sales(server: Running) -> TypeSales:
    """``await type_sales("pause", "s1")``: as an operator would, in his terminal."""
    service = server.mint("service", "ops")

    async def run(*words: str, url: str = server.http_url, token: str = service) -> Result:
        environ = {"LIVESERVER_TOKEN": token, "LIVESERVER_URL": "", "COLUMNS": "200"}
        return await asyncio.to_thread(CliRunner().invoke, sales.app, [*words, "--url", url], env=environ)

    return run


@pytest.fixture
async def opened(type_streamer: Type) -> str:
    """A sale ``s1`` of one item, ``oil.1``, 8 units, in the room."""
    listed = await type_streamer("list", "--title", "oil", "--item", "9.90:8", "--id", "oil")
    assert listed.exit_code == 0, listed.output
    opening = (
        "sale",
        "open",
        "1",
        "--id",
        "s1",
        "--spread",
        "3s",
        "--ships",
        "2099-01-31",
        "--waitlist",
        "7",
    )
    done = await type_streamer(*opening)
    assert done.exit_code == 0, done.output
    return "s1"


async def test_every_verb_steers_the_sale(
    opened: str, server: Running, type_sales: TypeSales, type_streamer: Type
) -> None:
    async def status() -> str:
        (line,) = (await type_sales("list")).stdout.splitlines()
        return line.split("\t")[1]

    assert await status() == "open"
    assert (await type_sales("pause", opened)).stdout == "sale s1 is paused\n"
    assert await status() == "paused"
    assert (await type_sales("resume", opened)).exit_code == 0
    adjusted = await type_sales("adjust", opened, "oil.1", "-3", "--reason", "broken")
    assert (adjusted.exit_code, adjusted.stdout) == (0, "stock of oil.1 changed by -3 in sale s1\n")
    below = await type_sales("adjust", opened, "oil.1", "-30")
    assert below.exit_code == 1 and "below_held (delta): " in below.stderr
    assert "below_held" in below.stderr and "sales show" in below.stderr

    other = server.mint("streamer", "bea", ["r2"])
    listing = ("list", "--title", "oil", "--item", "1.00:1", "--id", "oil")
    args = ["r2", *listing, "--url", server.http_url, "--token", other]
    assert (await asyncio.to_thread(CliRunner().invoke, streamer.app, args)).exit_code == 0
    assert (await type_sales("attach", opened, "r2", "oil")).exit_code == 0
    assert "room\tr2\toil\tattached" in (await type_sales("show", opened)).stdout
    shown = dict(line.split("\t", 1) for line in (await type_sales("show", opened)).stdout.splitlines())
    assert (shown["status"], shown["left"], shown["ships"][:10]) == ("open", "oil.1=5", "2099-01-31")
    assert shown["waitlist"] == "7"
    assert (await type_sales("detach", opened, ROOM)).exit_code == 0
    assert "room\tr1\toil\tdetached" in (await type_sales("show", opened)).stdout
    assert (await type_sales("close", opened)).exit_code == 0
    assert await status() == "closed"
    late = await type_sales("resume", opened)
    assert late.exit_code == 1 and "closed" in late.stderr


async def test_freezing_all_and_lifting_it(
    opened: str, server: Running, type_sales: TypeSales, type_streamer: Type
) -> None:
    async with connect(server.url, server.mint("viewer", "u1", [ROOM])) as live:
        room = await live.join(ROOM)
        bought = await room.purchase(opened, [OrderLine(item_id="oil.1")])
        assert bought.outcome == "reserved"
        frozen = await type_sales("freeze", "--all", "--reason", "wrong prices")
        said = "every sale is frozen (1 by this); none opens until `liveserver sales lift`"
        assert (frozen.exit_code, frozen.stdout.splitlines()[-1]) == (0, said)
        refused = await room.purchase(opened, [OrderLine(item_id="oil.1")])
        assert refused.outcome == "frozen"
    stopped = await type_sales("resume", opened)
    assert stopped.exit_code == 1
    assert "wrong prices" in stopped.stderr and "sales lift" in stopped.stderr
    lifted = await type_sales("lift")
    assert lifted.exit_code == 0 and lifted.stdout.startswith("lifted: ")
    again = await type_sales("resume", opened)
    assert again.exit_code == 1 and "frozen" in again.stderr, "lifted, not thawed"
    assert "`liveserver ledger rebuild SALE`" in again.stderr
    nothing = await type_sales("lift")
    assert nothing.exit_code == 0 and nothing.stdout.startswith("nothing to lift: ")


async def test_wrong_usage_and_refusals(server: Running, type_sales: TypeSales, valkey: Redis) -> None:
    assert (await type_sales("freeze")).exit_code == 2
    assert (await type_sales("freeze", "s1", "--all")).exit_code == 2
    assert (await type_sales("adjust", "s1", "i", "5")).exit_code == 2
    unknown = await type_sales("pause", "nope")
    assert unknown.exit_code == 1
    assert "unknown_sale" in unknown.stderr and "sales list" in unknown.stderr
    viewer = await type_sales("list", token=server.mint("viewer", "u1"))
    assert viewer.exit_code == 1 and "--role service" in viewer.stderr
    nobody = await type_sales("list", url="http://127.0.0.1:1")
    assert nobody.exit_code == 1 and "no server at" in nobody.stderr
    assert "Connection refused" in nobody.stderr and "Errno" not in nobody.stderr
    assert nobody.stderr.endswith("is the address its own? Try again in a moment\n")
    assert (await type_sales("list")).stdout == ""


@pytest.mark.parametrize(
    ("words", "at_fault"),
    [
        (("show", "a b"), "SALE"),
        (("pause", "a~b"), "SALE"),
        (("adjust", "s1", "a b", "+3"), "ITEM"),
        (("attach", "s1", "r 2", "oil"), "ROOM"),
        (("attach", "s1", "r2", "o/l"), "LISTING"),
        (("detach", "s1", "r 2"), "ROOM"),
        (("pause", "s1", "--command-id", "a b"), "--command-id"),
        (("freeze", "s1", "--reason", "wrong price"), "--reason"),
    ],
)
async def test_what_is_typed_wrong_is_named_before_it_is_sent(words: tuple[str, ...], at_fault: str) -> None:
    args = [*words, "--url", "http://127.0.0.1:1", "--token", "t"]
    refused = await asyncio.to_thread(CliRunner().invoke, sales.app, args, env={"COLUMNS": "200"})
    assert refused.exit_code == 2 and f"for {at_fault}: " in refused.stderr, refused.stderr
    assert "[A-Za-z0-9" not in refused.stderr


async def test_items_are_named_as_people_know_them(type_streamer: Type, type_sales: TypeSales) -> None:
    """In a room or on a shelf alike: the id is what `adjust` takes."""
    variants = ("--item", "red,M:9.90:8", "--item", "蓝:8.80:2")
    await type_streamer("list", "--title", "毛衣", "--id", "a@b:1", *variants)
    await type_streamer("sale", "open", "1", "--id", "s1")
    left = "a@b:1.1 red,M=8, a@b:1.2 蓝=2"
    assert f"left\t{left}\n" in (await type_sales("show", "s1")).stdout
    (listed,) = (await type_sales("list")).stdout.splitlines()
    assert listed.split("\t")[2] == left and listed.endswith("\t毛衣")
    assert (await type_sales("adjust", "s1", "a@b:1.2", "+1")).exit_code == 0
    assert (await type_sales("detach", "s1", ROOM)).exit_code == 0
    attached = await type_sales("attach", "s1", ROOM, "a@b:1")
    assert attached.exit_code == 0, attached.stderr
