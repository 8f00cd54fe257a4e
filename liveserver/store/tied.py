"""A child process that ends when we end, even when we are killed with -9.

Two ways, by where we stand:

- *Linux, on the main thread*: a few lines of Python in the child's own process ask the kernel for
  ``PR_SET_PDEATHSIG``, check that we are still alive (we may have died before the request), and exec the
  program. Nothing of ours runs between fork and exec, so threads of the parent do no harm. The signal
  fires when the *thread* that forked ends, so only the main thread may take this way.
- *elsewhere*: a watchdog process starts the program, and kills it when a pipe from us closes.

The signal is SIGKILL: it works on a stopped or busy process too. What must survive it is the child's
business (``appendfsync always``).

The child leads a session of its own: Ctrl-C in a terminal is for us, who end the child in order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO

_TIE = """
import ctypes, os, signal, sys
if ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0) != 0:
    sys.exit("PR_SET_PDEATHSIG was refused")
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""

_WATCH = """
import os, subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=2, close_fds=False)
os.write(1, b"%d\\n" % child.pid)
os.close(1)
def watch():
    os.read(0, 1)
    child.kill()
threading.Thread(target=watch, daemon=True).start()
os._exit(child.wait() & 255)
"""


class TiedProcess:
    """A running child. ``pid`` is the program's own, whichever way it was tied."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: IO[bytes],
        pass_fds: Sequence[int] = (),
        watchdog: bool | None = None,
    ) -> None:
        """Starts ``argv`` (an absolute path first); its output goes to ``log``. Raises ``OSError``."""
        if watchdog is None:
            watchdog = sys.platform != "linux" or threading.current_thread() is not threading.main_thread()
        python = [sys.executable, "-I", "-S", "-c"]
        self._pipe: IO[bytes] | None = None
        if watchdog:
            self._process = subprocess.Popen(
                [*python, _WATCH, *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=pass_fds,
                start_new_session=True,
            )
            self._pipe = self._process.stdin
            assert self._process.stdout is not None
            with self._process.stdout as shown:
                self.pid = int(shown.readline() or self._process.pid)
        else:
            self._process = subprocess.Popen(
                [*python, _TIE, str(os.getpid()), *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=pass_fds,
                start_new_session=True,
            )
            self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL and reaps. The wait is the kernel's: nothing can refuse it."""
        self._signal(signal.SIGKILL)
        if self._pipe is not None:
            self._pipe.close()
        self._process.wait()

    def _signal(self, number: int) -> None:
        # Our unreaped child (or our watchdog's, while the watchdog lives) can't lend its pid to a stranger.
        if self.alive:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass
