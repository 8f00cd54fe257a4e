"""What is kept beside a sale's feed for each group that reads it. All carry the sale's tag: one slot."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from liveserver.orders.limits import GROUP_CHARS_MAX

_GROUP: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{GROUP_CHARS_MAX}}}", re.ASCII)


class GroupKeys(NamedTuple):
    lease: str  # text: which process delivers this sale now
    rows: str  # hash: epoch-seq of a row -> "done", or how often it failed; of unacknowledged entries only
    dead: str  # hash: epoch-seq of a row -> a dead letter
    again: str  # hash: as dead, of those to be tried once more


def is_group(text: str) -> bool:
    return _GROUP.fullmatch(text) is not None


def keys_of_group(sale_id: str, group: str) -> GroupKeys:
    stem = f"{{sale:{sale_id}}}:orders:{group}"
    return GroupKeys(f"{stem}:lease", f"{stem}:rows", f"{stem}:dead", f"{stem}:again")
