"""Waking up at a moment.

The timers and the clock of uvloop count whole milliseconds: what was to be sent at a moment went out 0.6 ms later on
average, and that stood in the latency of the server. Linux's timerfd keeps moments to some microseconds.
"""

import asyncio
import ctypes
import os
import time

_ABSOLUTE = 1
"""TFD_TIMER_ABSTIME: the time given is a moment, not a span."""
_libc = ctypes.CDLL(None, use_errno=True)


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


class Alarm:
    """Wakes one task, until it is closed; moments are on the clock of `time.monotonic`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rings = self._loop.create_future()
        self._setting = _Setting()
        self._fd = _checked(_libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_CLOEXEC | os.O_NONBLOCK))
        self._loop.add_reader(self._fd, self._ring)

    def close(self) -> None:
        """Wake nobody any more."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    async def wait_until(self, moment: float) -> None:
        """Return at the moment; at once when it is past."""
        if moment <= time.monotonic():
            return
        self._rings = self._loop.create_future()
        seconds, fraction = divmod(moment, 1)
        self._setting.value = _Time(int(seconds), int(fraction * 1e9))
        _checked(_libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(self._setting), None))
        await self._rings

    def _ring(self) -> None:
        os.read(self._fd, 8)
        if not self._rings.done():
            self._rings.set_result(None)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "timerfd")
    return result
