"""``liveserver ledger`` as it is typed: a running store, a stopped one's directory, what it writes."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from liveserver.cli import ledger, ledger_progress
from liveserver.cli.ledger_format import FEED_FIELDS
from liveserver.stock.audit import audit
from liveserver.stock.feed import Entry
from liveserver.stock.fold import fold
from liveserver.stock.rows import parse_row
from liveserver.stock.scripts import feed_key, keys_of
from liveserver.valkey.connect import call_client
from tests.clock import ManualClock
from tests.conftest import StartValkey
from tests.stock.conftest import ValkeyBench, order
from tests.stock.history import busy


async def typed(*words: object, redis_url: str = "", data_dir: str = "") -> Result:
    """With this environment."""
    environ = {"LIVESERVER_REDIS_URL": redis_url, "LIVESERVER_DATA_DIR": data_dir}
    return await asyncio.to_thread(CliRunner().invoke, ledger.app, [str(word) for word in words], env=environ)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
async def bench(valkey: Redis, valkey_url: str) -> AsyncIterator[ValkeyBench]:
    client = call_client(valkey_url)
    yield ValkeyBench(ManualClock(), client)
    await client.aclose()


async def test_every_sale_is_verified_and_the_broken_one_named(bench: ValkeyBench, valkey_url: str) -> None:
    await busy(bench, calls=20)
    await busy(bench, calls=5, seed=2, sale_id="s2")
    good = await typed("verify", "--redis-url", valkey_url)
    assert good.exit_code == 0, good.output
    assert [line.split(":")[0] for line in good.stdout.splitlines()] == ["s1", "s2"]
    assert good.stdout.count("every law holds") == 2
    await bench.client.hincrby(keys_of("s2")[0], "a0", 1)
    bad = await typed("verify", "--redis-url", valkey_url)
    assert bad.exit_code == 1
    assert bad.stdout.count("every law holds") == 1 and "  meta a0: counters: is" in bad.stdout
    assert (await typed("verify", "--redis-url", valkey_url, "--sale", "s1")).exit_code == 0
    told = await typed("verify", "--redis-url", valkey_url, "--json")
    answer = json.loads(told.stdout)
    assert told.exit_code == 1 and answer["ok"] is False
    by_sale = {one["sale_id"]: one for one in answer["sales"]}
    assert by_sale["s1"]["findings"] == []
    assert by_sale["s1"]["rows"] == await bench.client.xlen(feed_key("s1"))
    assert [(one["where"], one["law"]) for one in by_sale["s2"]["findings"]] == [("meta a0", "counters")]


async def test_progress_is_told_apart_from_the_answer(
    bench: ValkeyBench, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await busy(bench, calls=10)
    monkeypatch.setattr(ledger_progress, "LINE_EVERY_S", 0.0)
    told = await typed("verify", "--redis-url", valkey_url, "--json")
    assert json.loads(told.stdout)["ok"]
    for part in ("rows", "buyers", "holds"):
        assert f"s1: {part} " in told.stderr
    monkeypatch.undo()
    assert (await typed("verify", "--redis-url", valkey_url)).stderr == ""


async def test_the_broken_entry_of_a_feed_is_named(bench: ValkeyBench, valkey_url: str) -> None:
    await busy(bench, calls=10)
    entries: Any = await bench.client.xrange(feed_key("s1"))
    await bench.client.xdel(feed_key("s1"), entries[5][0])
    bad = await typed("verify", "--redis-url", valkey_url)
    assert bad.exit_code == 1 and f"  {entries[6][0].decode()}: gapless: " in bad.stdout


async def test_a_data_directory_running_and_stopped(
    durable_valkey: StartValkey, tmp_path: Path, valkey: Redis
) -> None:
    folder = tmp_path / "data"
    store = await durable_valkey(folder)
    client = call_client(store.url)
    bench = ValkeyBench(ManualClock(), client)
    await bench.open(bench.spec((5,)))
    await bench.ledger.reserve("s1", [order("ann", "c1"), order("bob", "c1")])
    await client.aclose()
    running = await typed("verify", "--data-dir", folder)
    assert running.exit_code == 0 and "2 reservations of 2 buyers" in running.stdout
    assert store.alive
    await store.stop()
    stopped = await typed("verify", "--data-dir", folder)
    assert (stopped.exit_code, stopped.stdout) == (0, running.stdout)
    again = await durable_valkey(folder)  # the tool has let go of it, and changed nothing
    client = call_client(again.url)
    assert (await audit(client, "s1")).findings == []
    await client.aclose()


async def test_what_is_typed_beats_the_environment(
    bench: ValkeyBench, valkey_url: str, tmp_path: Path
) -> None:
    await bench.open(bench.spec((5,)))
    empty = str(tmp_path)
    both = await typed("verify", redis_url=valkey_url, data_dir=empty)
    assert both.exit_code == 0 and "s1: 1 row," in both.stdout
    directory = await typed("verify", "--data-dir", empty, redis_url=valkey_url)
    assert directory.exit_code == 2 and "holds no store" in directory.stderr
    address = await typed("verify", "--redis-url", valkey_url, data_dir=empty)
    assert address.stdout == both.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("verify", "--data-dir", "{tmp}"), "holds no store"),
        (("verify", "--redis-url", "unix:///nowhere.sock"), "can't be read"),
        (("verify", "--redis-url", "unix:///nowhere.sock", "--data-dir", "{tmp}"), "one of"),
        (("verify", "--sale", "no sale", "--redis-url", "{url}"), "no sale id"),
        (("export", "--format", "xml"), "xml"),
    ],
)
async def test_what_cannot_be_looked_into(
    words: tuple[str, ...], complaint: str, tmp_path: Path, valkey_url: str
) -> None:
    refused = await typed(*(word.format(tmp=tmp_path, url=valkey_url) for word in words))
    assert refused.exit_code == 2 and complaint in refused.stderr.replace("\n", " ")
    assert names(tmp_path) == []


async def test_an_empty_store_has_nothing_to_break(valkey: Redis, valkey_url: str) -> None:
    nothing = await typed("verify", "--redis-url", valkey_url)
    assert nothing.exit_code == 0 and "there is no sale" in nothing.stdout
    unknown = await typed("verify", "--redis-url", valkey_url, "--sale", "s9")
    assert unknown.exit_code == 1 and "missing" in unknown.stdout


async def test_a_feed_exported_folds_to_the_same(bench: ValkeyBench, valkey_url: str) -> None:
    await busy(bench, calls=120)
    entries: Any = await bench.client.xrange(feed_key("s1"))
    report = await audit(bench.client, "s1")
    for form in ("jsonl", "csv"):
        out = await typed("export", "--redis-url", valkey_url, "--sale", "s1", "--format", form)
        assert out.exit_code == 0
        read = from_csv(out.stdout) if form == "csv" else from_jsonl(out.stdout)
        assert read == entries
        again = fold(parse_row("s1", *entry) for entry in read)
        assert again.seq == report.seq and again.available == list(report.available.values())


def from_jsonl(text: str) -> list[Entry]:
    read = []
    for line in text.splitlines():
        fields: dict[str, str] = json.loads(line)
        assert fields.pop("sale_id") == "s1"
        read.append(entry(fields.pop("id"), fields))
    return read


def from_csv(text: str) -> list[Entry]:
    """An empty cell is a field of the row's kind if the kind has it: ``actor`` and ``command`` of a close."""
    read = []
    for cells in csv.DictReader(io.StringIO(text, newline="")):
        assert cells["sale_id"] == "s1" and cells["other"] == ""
        empty = {"close": ("actor", "command"), "freeze": ("seen",), "adjust": ("reason",)}
        fields = {
            field: cells[field]
            for field in FEED_FIELDS
            if cells[field] or field in empty.get(cells["kind"], ())
        }
        read.append(entry(cells["id"], fields))
    return read


def entry(entry_id: str, fields: dict[str, str]) -> Entry:
    return entry_id.encode(), {field.encode(): text.encode() for field, text in fields.items()}


async def test_a_field_nobody_knows_yet_is_not_lost(bench: ValkeyBench, valkey_url: str) -> None:
    await bench.open(bench.spec((5,)))
    view = await bench.ledger.view("s1")
    row: dict[Any, Any] = {"kind": "gift", "first": 2, "at": 5, "wrapped": 'in, "red"'}
    await bench.client.xadd(feed_key("s1"), row, id=f"{view.epoch}-2")
    written = (await typed("export", "--redis-url", valkey_url, "--format", "csv")).stdout
    last = list(csv.DictReader(io.StringIO(written, newline="")))[-1]
    assert last["kind"] == "gift" and json.loads(last["other"]) == {"wrapped": 'in, "red"'}


async def test_orders_exported_are_the_reservations_as_they_now_are(
    bench: ValkeyBench, valkey_url: str, tmp_path: Path
) -> None:
    await busy(bench, calls=40)
    where = tmp_path / "orders.csv"
    jsonl = await typed("export", "--redis-url", valkey_url, "--orders")
    done = await typed("export", "--redis-url", valkey_url, "--orders", "--format", "csv", "--out", where)
    assert (jsonl.exit_code, done.exit_code, done.stdout) == (0, 0, "")
    assert names(tmp_path) == ["orders.csv"]
    report = await audit(bench.client, "s1")
    lines = [json.loads(line) for line in jsonl.stdout.splitlines()]
    with where.open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(lines) == len(table) == report.reservations
    assert [one["seq"] for one in lines] == sorted({one["seq"] for one in lines})
    units: Counter[str] = Counter()
    for one, cells in zip(lines, table, strict=True):
        now = await bench.ledger.reservation(one["reservation_id"])
        assert (one["state"], one["expires_at_ms"], one["command_id"]) == (
            now.state,
            now.expires_at_ms,
            now.command_id,
        )
        assert [(line["item_id"], line["quantity"]) for line in one["lines"]] == [
            (line.item_id, line.quantity) for line in now.lines
        ]
        assert cells["state"] == now.state and cells["reservation_id"] == now.reservation_id
        assert cells["lines"] == " ".join(f"{line.item_id}={line.quantity}" for line in now.lines)
        units[now.state] += sum(line.quantity for line in now.lines)
    assert units["held"] == sum(report.held.values()) and units["confirmed"] == sum(report.confirmed.values())
    assert units.keys() >= {"held", "confirmed", "released", "expired"}


async def test_an_export_that_fails_leaves_what_was_there(
    bench: ValkeyBench, valkey_url: str, tmp_path: Path
) -> None:
    await busy(bench, calls=5)
    where = tmp_path / "orders.jsonl"
    where.write_text("yesterday's")
    await bench.client.delete(keys_of("s1")[1])
    failed = await typed("export", "--redis-url", valkey_url, "--orders", "--out", where)
    assert failed.exit_code == 2 and "no reservation" in failed.stderr
    assert where.read_text() == "yesterday's" and names(tmp_path) == ["orders.jsonl"]


async def test_an_export_of_nothing_or_to_nowhere_says_which(
    bench: ValkeyBench, valkey_url: str, tmp_path: Path
) -> None:
    await bench.open(bench.spec((5,)))
    out = tmp_path / "gone" / "feed.jsonl"
    (tmp_path / "folder").mkdir()
    for words, complaint in [
        (("--sale", "s9"), "there is no sale s9 in this store"),
        (("--sale", "s9", "--out", tmp_path / "s9.jsonl"), "--sale"),
        (("--out", out), f"nothing is written: {out}: No such file or directory"),
        (("--out", tmp_path / "folder"), "folder: Is a directory"),
    ]:
        refused = await typed("export", "--redis-url", valkey_url, *words)
        assert refused.exit_code == 2 and refused.stdout == "", refused.output
        assert complaint in refused.stderr and "ledger can't be read" not in refused.stderr
        assert "Errno" not in refused.stderr and names(tmp_path) == ["folder"]
    one = await typed("export", "--redis-url", valkey_url, "--sale", "s1", "--out", tmp_path / "s1.jsonl")
    assert (one.exit_code, one.stderr) == (0, "1 row written\n")


async def test_what_is_over_is_archived_and_what_is_not_is_said(
    bench: ValkeyBench, valkey_url: str, tmp_path: Path
) -> None:
    await busy(bench, calls=3)
    await bench.ledger.close("s1", actor="eve", command_id="close-1")
    await bench.advance(60_000)
    await bench.ledger.expire("s1")
    await bench.advance(3_600_000)
    await bench.open(bench.spec(sale_id="s2"))
    rows = await bench.client.xlen(feed_key("s1"))
    where = ("archive", "--redis-url", valkey_url, "--out", tmp_path / "out")
    young = await typed(*where, "--sale", "s1")
    assert young.exit_code == 1 and young.stdout.startswith("s1: stays: its last change is too young")
    asked = await typed(*where, "--older-than", "30m", "--group", "orders")
    assert asked.exit_code == 0
    assert asked.stdout.splitlines() == [
        "s1: stays: the group orders has never read it",
        "s2: stays: it is open, not closed",
    ]
    tried = await typed(*where, "--older-than", "30m", "--dry-run", "--sale", "s1")
    assert f"s1: would be archived, {rows} rows" in tried.stdout and names(tmp_path / "out") == []
    done = await typed(*where, "--older-than", "30m")
    assert done.exit_code == 0 and f"s1: archived, {rows} rows, " in done.stdout
    assert len(names(tmp_path / "out")) == 1
    assert (await typed("verify", "--redis-url", valkey_url)).stdout.startswith("s2: ")
    await bench.client.hincrby(keys_of("s2")[0], "c0", 1)
    await bench.ledger.close("s2", actor="eve", command_id="close-2")
    broken = await typed(*where, "--older-than", "0s")
    assert broken.exit_code == 1 and broken.stdout.startswith("s2: BROKEN: its counters are not")
    assert (await typed(*where, "--older-than", "soon")).exit_code == 2
    (tmp_path / "a-file").touch()
    taken = await typed("archive", "--redis-url", valkey_url, "--out", tmp_path / "a-file")
    assert taken.exit_code == 2 and "File exists" in taken.stderr and "Errno" not in taken.stderr
