"""What the night holds, decided before it begins: who comes when, who buys what, who falls off.

Pure: a seed, a length and a number of viewers give the same plan every time. Shares are promises, met by
construction: demand is at least ``DEMAND`` × stock because the stock is cut to the demand; the shares of
repeated ids, of reconnects and of those who stop reading are rounded up. (Who never pays is decided when
something was granted: every ``NEVER_PAYS_EVERY``-th grant.)

The night, as fractions of its length: arrivals in three waves · first sale ``.18`` to ``.50``, restocked
at ``.34`` · second sale, with a line, ``.54`` to ``.78`` · then holds run out and everything settles.
Beside the rushes there are scenes, from ``.20`` to ``.80``: small sales of a few people each, who do in turn
what a rush leaves to chance.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from typing import Final

DEMAND: Final = 6  # units asked for one on sale; at least 5 are promised
REPEATED_SHARE: Final = 0.16
RECONNECT_SHARE: Final = 0.08
STALL_SHARE: Final = 0.03
NEVER_PAYS_EVERY: Final = 8
RELEASES_EVERY: Final = 25
PAYS_LATE_EVERY: Final = 3  # of those who did not pay in time
LEAVES_EVERY: Final = 5  # of those who stand in line
WAITLIST_MIN: Final = 3
CAST_MAX: Final = 12  # who plays in the scenes
SCENE_CAST: Final = 4
SECONDS_MIN: Final = 5.0
HOLD_MS_MIN: Final = 1_000
SPREAD_S: Final = 1.0  # a rush: the first orders fall within this of the opening


@dataclass(frozen=True)
class Order:
    at_s: float
    viewer: int
    item: int  # index into the sale's items
    quantity: int
    repeat: str  # "", "twice" (a double tap: two at once), "later" (again after the answer)


@dataclass
class Sale:
    sale_id: str
    listing_id: str
    title: str
    opens_s: float
    closes_s: float
    hold_ms: int
    limit: int
    items: list[str]
    stock: list[int] = field(default_factory=list)
    waitlist: int = 0  # places in line
    restock_s: float | None = None
    restock: int = 0
    orders: list[Order] = field(default_factory=list)

    @property
    def units_asked(self) -> int:
        return sum(order.quantity for order in self.orders)

    @property
    def units_offered(self) -> int:
        return sum(self.stock) + self.restock


@dataclass(frozen=True)
class Scene:
    """A small sale of its own, and who plays in it (by viewer)."""

    name: str
    sale: Sale
    cast: list[int]


@dataclass(frozen=True)
class Cut:
    at_s: float
    viewer: int
    by: str  # eof, abort


@dataclass(frozen=True)
class Stall:
    at_s: float
    viewer: int
    for_s: float


@dataclass
class Plan:
    seconds: float
    arrivals_s: list[float]  # by viewer
    sales: list[Sale]  # the rushes
    scenes: list[Scene]
    cuts: list[Cut]
    stalls: list[Stall]

    @property
    def all_sales(self) -> list[Sale]:
        return [*self.sales, *(scene.sale for scene in self.scenes)]

    @property
    def cast(self) -> set[int]:
        """Viewers who stay, and are neither cut nor stop reading."""
        return {viewer for scene in self.scenes for viewer in scene.cast}


def make(seconds: float, viewers: int, seed: int) -> Plan:
    """``seconds`` ≥ ``SECONDS_MIN``, ``viewers`` ≥ 10."""
    if seconds < SECONDS_MIN or viewers < 10:
        raise ValueError(f"a night takes at least {SECONDS_MIN:g} seconds and ten viewers")
    rng = random.Random(seed)
    arrivals = _arrivals(rng, seconds, viewers)
    hold_ms = max(HOLD_MS_MIN, min(5_000, int(seconds * 75)))
    first = Sale(
        "flash-1", "red-hoodie", "加绒卫衣 直播间专享", seconds * 0.18, seconds * 0.50, hold_ms, 1,
        ["red-M", "red-L"], restock_s=seconds * 0.34,
    )  # fmt: skip
    second = Sale(
        "flash-2", "chilli-oil", "自家辣椒油 两瓶装", seconds * 0.54, seconds * 0.78, hold_ms, 2, ["jar"]
    )
    for sale in (first, second):
        _demand(rng, sale, arrivals)
    second.waitlist = max(WAITLIST_MIN, second.units_offered // 8)
    stalls = _stalls(rng, seconds, viewers)
    there = [viewer for viewer in range(viewers // 2) if viewer not in {stall.viewer for stall in stalls}]
    scenes = _scenes(rng, seconds, hold_ms, there)
    apart = {stall.viewer for stall in stalls} | {viewer for scene in scenes for viewer in scene.cast}
    cuts = _cuts(rng, seconds, viewers, sorted(set(range(viewers)) - apart))
    return Plan(seconds, arrivals, [first, second], scenes, cuts, stalls)


def _scenes(rng: random.Random, seconds: float, hold_ms: int, there: list[int]) -> list[Scene]:
    """``there``: who came early and stays. In a small audience the same people play in several."""
    cast = rng.sample(there, min(CAST_MAX, len(there)))

    def sale(
        sale_id: str, listing_id: str, title: str, opens: float, items: list[str], stock: list[int]
    ) -> Sale:
        return Sale(
            sale_id, listing_id, title, seconds * opens, seconds * 0.80, hold_ms, 2, items, stock=stock
        )

    scenes = (
        ("counter", sale("counter-1", "honey", "土蜂蜜 不限时", 0.20, ["pot"], [40])),
        ("freeze", sale("frozen-1", "face-cream", "面霜 临期清仓", 0.24, ["tube"], [10])),
        (
            "line",
            replace(sale("line-1", "tea", "手工茶 两款", 0.28, ["green", "white"], [20, 1]), waitlist=8),
        ),
    )
    return [
        Scene(name, one, [cast[(place * SCENE_CAST + k) % len(cast)] for k in range(SCENE_CAST)])
        for place, (name, one) in enumerate(scenes)
    ]


def _arrivals(rng: random.Random, seconds: float, viewers: int) -> list[float]:
    waves = ((0.0, min(1.5, seconds * 0.1), 0.5), (0.10, 0.05, 0.3), (0.28, 0.08, 0.2))
    times: list[float] = []
    for start, width, share in waves:
        width_s = width if start == 0.0 else width * seconds
        for _ in range(math.ceil(viewers * share)):
            times.append(start * seconds + width_s * rng.random() ** 1.5)
    return sorted(times[:viewers])


def _demand(rng: random.Random, sale: Sale, arrivals: list[float]) -> None:
    orders: list[Order] = []
    length = sale.closes_s - sale.opens_s
    for viewer, arrived in enumerate(arrivals):
        if arrived > sale.closes_s - 0.5:
            continue
        start = max(sale.opens_s, arrived + 0.3)
        first = start + SPREAD_S * min(1.0, length / 4) * rng.random() ** 2
        times = [first]
        if rng.random() < 0.7:  # comes back when units may have come back
            times.append(sale.opens_s + length * rng.uniform(0.45, 0.97))
        if sale.restock_s is not None and rng.random() < 0.5:
            times.append(sale.restock_s + 0.1 + SPREAD_S * 0.5 * rng.random() ** 2)
        item = rng.randrange(len(sale.items))
        for at_s in times:
            if arrived + 0.2 <= at_s < sale.closes_s - 0.15:
                quantity = 2 if sale.limit > 1 and rng.random() < 0.25 else 1
                orders.append(Order(at_s, viewer, item, quantity, ""))
    orders.sort(key=lambda order: order.at_s)
    repeated = rng.sample(range(len(orders)), math.ceil(len(orders) * REPEATED_SHARE))
    for k, index in enumerate(repeated):
        order = orders[index]
        kind = "twice" if k % 2 else "later"
        orders[index] = Order(order.at_s, order.viewer, order.item, order.quantity, kind)
    sale.orders = orders
    on_sale = max(len(sale.items), sale.units_asked // DEMAND)
    if sale.restock_s is not None:
        sale.restock = on_sale // 4
    each, rest = divmod(on_sale - sale.restock, len(sale.items))
    sale.stock = [each + (k < rest) for k in range(len(sale.items))]


def _cuts(rng: random.Random, seconds: float, viewers: int, whom: list[int]) -> list[Cut]:
    """Nobody who stops reading is cut too: what it missed must be told apart from what it lost."""
    cuts = []
    for k, viewer in enumerate(rng.sample(whom, math.ceil(viewers * RECONNECT_SHARE))):
        # A third in the first seconds of the first sale, where purchases are under way.
        at = seconds * 0.18 + rng.random() if k % 3 == 0 else seconds * rng.uniform(0.15, 0.72)
        cuts.append(Cut(at, viewer, "abort" if k % 5 == 4 else "eof"))
    return sorted(cuts, key=lambda cut: cut.at_s)


def _stalls(rng: random.Random, seconds: float, viewers: int) -> list[Stall]:
    """Some read again before the server loses patience, others (in a long night) hardly or not."""
    short_s, long_s = min(9.0, seconds * 0.42), min(30.0, seconds * 0.42)
    chosen = rng.sample(range(viewers // 2), math.ceil(viewers * STALL_SHARE))  # the early ones
    return [
        Stall(seconds * rng.uniform(0.2, 0.35), viewer, long_s if k % 2 else short_s)
        for k, viewer in enumerate(chosen)
    ]
