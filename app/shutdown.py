"""Signals: the first asks the process to end in good order, the second to end at once, the third on the spot."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

FORCED = 130
"""The exit code of a process that was not given the time to drain."""
SAME_BREATH = 0.2
"""Seconds. Told by its group and by its parent (`timeout make run`), a process hears one wish twice."""

_PR_SET_PDEATHSIG = 1


@dataclass
class LastWords:
    """What a process says at the second signal; within a bounded time."""

    say: Callable[[], Awaitable[None]] | None = None


def stop_on_signals(then: Callable[[], None] = lambda: None, last_words: LastWords | None = None) -> asyncio.Event:
    """An event that SIGTERM, SIGINT or a closed terminal sets, `then` being called at once. A second signal ends the
    process as soon as its `last_words` are said, where it has any, and a third ends it on the spot: leases and the
    outbox see to it that nothing is lost even then."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    asked_at = 0.0
    speaking: asyncio.Task[None] | None = None

    def on_signal(number: signal.Signals) -> None:
        nonlocal asked_at, speaking
        if not stop.is_set():
            asked_at = loop.time()
            stop.set()
            then()
            log.info("shutdown.asked", signal=number.name)  # last: the terminal may be gone
        elif loop.time() - asked_at > SAME_BREATH:
            log.warning("shutdown.forced", signal=number.name)
            asked_at = loop.time()
            if last_words is None or last_words.say is None or speaking is not None:
                os._exit(FORCED)
            speaking = asyncio.create_task(_speak_and_go(last_words.say))

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # with nohup it is to outlive its terminal
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    return stop


async def _speak_and_go(say: Callable[[], Awaitable[None]]) -> None:
    try:
        await say()
    finally:
        os._exit(FORCED)


def end_with_parent(parent: int) -> None:
    """Have Linux send SIGTERM when the process that started this one ends, however it ends; from the main thread.

    The parent is named by who knows it: by now it may be gone, and another in its place.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:  # it ended before we asked, so nobody would tell us
        sys.exit(FORCED)
