from __future__ import annotations

import pytest

from liveserver.core.identity import Identity
from protocol.types import Role


@pytest.mark.parametrize(("name", "said_under"), [("小李", "小李"), ("ann", ""), ("", ""), ("Ann", "Ann")])
def test_a_name_that_is_the_id_is_not_said_twice(name: str, said_under: str) -> None:
    assert Identity("ann", name, Role.VIEWER, ("*",), 1).said_under == said_under
