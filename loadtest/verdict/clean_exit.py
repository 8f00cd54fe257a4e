"""clean_exit: whatever was started has ended as it should, and nothing broke on the way.

Every process noted in the journal ended with code 0; every audience process wrote its last line and met
nothing it did not expect; and no connection was closed by the server with a code that accuses somebody
(a viewer who stopped reading may be cut for it, since that is what it asked for).
"""

from __future__ import annotations

from typing import Final

from loadtest.verdict.case import Case, Connection
from loadtest.verdict.tally import Finding, Tally

GOOD_CODES: Final = (1000, 1001)
TOO_SLOW: Final = 4008


def check(case: Case) -> Finding:
    tally = Tally()
    for process in case.exits:
        tally.expect(process.code == 0, f"{process.name} ended with {process.code}")
    if not case.exits:
        tally.wrong("nobody noted how the processes ended")
    for name, whole in case.ends.items():
        tally.expect(whole, f"{name} ends before its end")
    for fault in case.faults:
        tally.wrong(f"{fault['where']}: {fault['what']}")
    for connection in case.connections:
        stalled = any(item.kind == "stall" for item in connection.items)
        tally.expect(_ended_well(connection, stalled), _how(connection))
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


def _how(connection: Connection) -> str:
    by = connection.shut_by or "nobody: it was left open"
    return f"{connection.user} on {connection.name}: closed by {by}, code {connection.shut_code}"
