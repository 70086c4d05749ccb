"""Signals: the first asks the process to end in good order, the second to end at once."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

FORCED = 130
"""The exit code of a process that was not given the time to drain."""
SAME_BREATH = 0.2
"""Seconds. Told by its group and by its parent (`timeout make run`), a process hears one wish twice."""

_PR_SET_PDEATHSIG = 1


def stop_on_signals(then: Callable[[], None] = lambda: None) -> asyncio.Event:
    """An event that SIGTERM, SIGINT or a closed terminal sets, `then` being called at once. A second signal ends the
    process on the spot: leases and the outbox see to it that nothing is lost even then."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    asked_at = 0.0

    def on_signal(number: signal.Signals) -> None:
        nonlocal asked_at
        if not stop.is_set():
            asked_at = loop.time()
            stop.set()
            then()
            log.info("shutdown.asked", signal=number.name)  # last: the terminal may be gone
        elif loop.time() - asked_at > SAME_BREATH:
            log.warning("shutdown.forced", signal=number.name)
            os._exit(FORCED)

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # with nohup it is to outlive its terminal
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    return stop


def end_with_parent(parent: int) -> None:
    """Have Linux send SIGTERM when the process that started this one ends, however it ends; from the main thread.

    The parent is named by who knows it: by now it may be gone, and another in its place.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:  # it ended before we asked, so nobody would tell us
        sys.exit(FORCED)
