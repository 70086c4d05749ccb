"""Signals: the first asks the process to end in good order, the second to end at once."""

import asyncio
import os
import signal
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

FORCED = 130
"""The exit code of a process that was not given the time to drain."""


def stop_on_signals(then: Callable[[], None] = lambda: None) -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets, `then` being called at once. A second signal ends the process on the spot:
    leases and the outbox see to it that nothing is lost even then."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            log.warning("shutdown.forced", signal=number.name)
            os._exit(FORCED)
        log.info("shutdown.asked", signal=number.name)
        stop.set()
        then()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop
