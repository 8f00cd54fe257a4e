"""clean_exit: whatever was started has ended as it should, and nothing broke on the way.

Every process noted in the journal ended with code 0, but those that were killed on purpose: each of them by
just that, and nobody else, and who was connected to it, or in the middle of a handshake, lost its connection
just then. Every audience process wrote its last line and met
nothing it did not expect; and no connection was closed by the server with a code that accuses somebody
(a viewer who stopped reading may be cut for it, since that is what it asked for).
"""

from __future__ import annotations

from typing import Final

from loadtest.verdict.case import Case, Connection
from loadtest.verdict.tally import Finding, Tally

GOOD_CODES: Final = (1000, 1001)
TOO_SLOW: Final = 4008
KILLED: Final = -9


def check(case: Case) -> Finding:
    tally = Tally()
    for process in case.exits:
        killed = any(kill.name == process.name for kill in case.kills)
        fits = process.code == (KILLED if killed else 0)
        meant = ", though it was killed" if killed else ""
        tally.expect(fits, f"{process.name} ended with {process.code}{meant}")
    for kill in case.kills:
        ends = sum(process.name == kill.name for process in case.exits)
        tally.expect(ends == 1, f"{kill.name} was killed, and its end is noted {ends} times")
    if not case.exits:
        tally.wrong("nobody noted how the processes ended")
    for name, whole in case.ends.items():
        tally.expect(whole, f"{name} ends before its end")
    for fault in case.faults:
        tally.wrong(f"{fault['where']}: {fault['what']}")
    for connection in case.connections:
        stalled = any(item.kind == "stall" for item in connection.items)
        well = _ended_well(connection, stalled) or _killed(case, connection)
        tally.expect(well, _how(connection))
    return tally.finding()


def _ended_well(connection: Connection, stalled: bool) -> bool:
    match connection.shut_by:
        case "leave" | "eof" | "abort":
            return True
        case "server":
            return connection.shut_code in GOOD_CODES or (stalled and connection.shut_code == TOO_SLOW)
        case "lost":
            return stalled
        case _:
            return False


def _killed(case: Case, connection: Connection) -> bool:
    return connection.shut_by == "lost" and any(
        kill.explains(connection.shut_ms) and connection.process in ("", kill.process) for kill in case.kills
    )


def _how(connection: Connection) -> str:
    by = connection.shut_by or "nobody: it was left open"
    return f"{connection.user} on {connection.name}: closed by {by}, code {connection.shut_code}"
