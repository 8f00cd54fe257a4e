"""The command line: `liveserver serve | demo | token | watch | streamer | ledger | version`.

Each command is a file of its own; `main.py` only puts them together. A plain `pip install liveserver`
brings the client alone, so what the server needs may be missing here; then that is said.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    try:
        from liveserver.cli.main import main as run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("liveserver", "protocol"):
            raise
        print(
            f"{error.name} is missing: install the server's parts with  pip install 'liveserver[server]'",
            file=sys.stderr,
        )
        raise SystemExit(1) from None
    except KeyboardInterrupt:  # while we were still being loaded
        raise SystemExit(INTERRUPTED) from None
    run()
