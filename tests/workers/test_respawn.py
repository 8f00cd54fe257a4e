"""When a lost worker is replaced, and when it is given up."""

from __future__ import annotations

from liveserver.workers.respawn import DEATHS_MAX, STEADY_MS, WAIT_MS_MAX, Respawn


def test_the_first_death_is_made_good_at_once_and_a_row_of_them_waits_longer_and_longer() -> None:
    respawn = Respawn()
    waits = [respawn.died(10) for _ in range(DEATHS_MAX)]
    assert waits[0] == 0
    assert all(wait is not None for wait in waits)
    rising = [wait or 0 for wait in waits[1:]]
    assert rising == sorted(rising) and rising[0] > 0 and rising[-1] <= WAIT_MS_MAX
    assert respawn.died(10) is None


def test_who_lived_a_while_died_of_something_of_its_own() -> None:
    respawn = Respawn()
    for _ in range(DEATHS_MAX):
        respawn.died(10)
    assert respawn.died(STEADY_MS) == 0
    assert respawn.deaths == 1
    for _ in range(3 * DEATHS_MAX):
        assert respawn.died(STEADY_MS) == 0
