"""What a delivery says of itself on stderr."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from liveserver.cli import orders_progress
from liveserver.orders.deliverer import Deliverer
from liveserver.orders.delivery import Totals


class Doing:
    def __init__(self) -> None:
        self.totals = Totals()
        self.working = 1


async def test_lines_where_there_is_no_terminal_and_only_of_news(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(orders_progress, "LINE_EVERY_S", 0.001)
    doing = Doing()
    said = ""
    async with orders_progress.shown(cast(Deliverer, doing)):
        for rows in (0, 7):
            doing.totals.delivered = rows
            for _ in range(2_000):
                said += capsys.readouterr().err
                if f"{rows} rows delivered" in said:
                    break
                await asyncio.sleep(0.001)
    assert said.splitlines() == [
        f"{rows} rows delivered, 0 attempts failed, 0 dead letters, 1 sales under way" for rows in (0, 7)
    ]
