"""One frame to many descriptors: in C where that was built, else in Python, with the same results.

Both only write; whom the kernel did not take a whole frame for is *odd*, and left to whoever asked.
"""

from __future__ import annotations

import ctypes
import os
from array import array
from collections.abc import Sequence
from typing import Final, Literal, Protocol

from liveserver.edge.descriptors import DESCRIPTORS
from liveserver.native.build import library

WRITES_PER_LOOK: Final = 32  # between two looks at the clock

Choice = Literal["auto", "native", "python"]
Odd = Sequence[tuple[int, int]]
"""Places in ascending order, and how many bytes of the frame the kernel took there: not all of them."""


class Sender(Protocol):
    @property
    def name(self) -> str: ...

    def send(self, slots: array[int], at: int, end: int, frame: bytes, seconds: float) -> tuple[int, Odd]:
        """Write ``frame`` to the descriptors of the slots at the places from ``at`` to before ``end``, never
        blocking. Answers the place it came to and the odd ones before it: those without a descriptor too.
        It ends early after ``seconds``, or where much is odd, and never does less than one place."""
        ...


class PythonSender:
    """Returns at each look, so that whoever asked looks at the clock."""

    name = "python"

    def send(self, slots: array[int], at: int, end: int, frame: bytes, seconds: float) -> tuple[int, Odd]:
        fds, size, write = DESCRIPTORS.fds, len(frame), os.write
        end = min(end, at + WRITES_PER_LOOK)
        odd: list[tuple[int, int]] = []
        for place in range(at, end):
            taken = 0
            fd = fds[slots[place]]
            if fd >= 0:
                try:
                    taken = write(fd, frame)
                except OSError:  # full, or broken: the transport knows what to do
                    pass
            if taken != size:
                odd.append((place, taken))
        return end, odd


class NativeSender:
    """It holds the interpreter's lock meanwhile, so nothing can move the tables from under it; the clock is
    looked at every ``WRITES_PER_LOOK`` places, so that isn't long. Raises ``OSError`` where the library can't
    be loaded."""

    name = "native"

    def __init__(self) -> None:
        self._send = ctypes.PyDLL(str(library())).send_frame
        self._send.restype = ctypes.c_long
        self._send.argtypes = [
            ctypes.c_void_p,  # fds
            ctypes.c_void_p,  # slots
            ctypes.c_long,  # at
            ctypes.c_long,  # end
            ctypes.c_char_p,  # frame
            ctypes.c_size_t,
            ctypes.c_double,  # seconds
            ctypes.c_long,  # per look
            ctypes.c_void_p,  # odd
            ctypes.c_long,  # odd_max
            ctypes.c_void_p,  # odd_count
        ]
        self._odd = (ctypes.c_long * (2 * WRITES_PER_LOOK))()
        self._odd_count = ctypes.c_long()
        self._odd_at = ctypes.addressof(self._odd)
        self._odd_count_at = ctypes.addressof(self._odd_count)

    def send(self, slots: array[int], at: int, end: int, frame: bytes, seconds: float) -> tuple[int, Odd]:
        reached: int = self._send(
            DESCRIPTORS.fds.buffer_info()[0],
            slots.buffer_info()[0],
            at,
            end,
            frame,
            len(frame),
            seconds,
            WRITES_PER_LOOK,
            self._odd_at,
            WRITES_PER_LOOK,
            self._odd_count_at,
        )
        count = self._odd_count.value
        if not count:
            return reached, ()
        told = self._odd[: 2 * count]
        return reached, list(zip(told[::2], told[1::2], strict=True))


class NoNativeSenderError(ValueError):
    """It was asked for by name and isn't there; says what to do."""


def sender(choice: Choice = "auto") -> Sender:
    """``auto``: the native one if it was built. Raises ``NoNativeSenderError`` if that one is asked for and
    can't be had."""
    if choice == "python":
        return PythonSender()
    try:
        return NativeSender()
    except OSError as error:
        if choice == "native":
            raise NoNativeSenderError(
                f"the native sender can't be loaded ({error}): build it with `python -m liveserver.native`, "
                "which needs a C compiler (Debian: gcc libc6-dev), or leave this at auto"
            ) from error
        return PythonSender()
