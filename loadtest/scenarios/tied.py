"""Run a program that ends when we do: ``python -m loadtest.scenarios.tied PARENT_PID PROGRAM [ARGS …]``.

On Linux the kernel sends SIGTERM when the parent's thread that started it is gone, however it went; the
program takes this process's place, so its pid is the one that was started. Elsewhere it just runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    parent, *program = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):  # it went before we asked
            sys.exit(1)
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
