"""Hints from PostgreSQL's NOTIFY: they make a waiting worker look sooner, and nothing depends on them."""

import asyncio
from collections.abc import Callable

import asyncpg
import structlog
from sqlalchemy import make_url

log = structlog.get_logger(__name__)

RECONNECT_AFTER = 2.0
"""Seconds."""


class Notices:
    """Listens on one channel with a connection of its own, and listens again whenever that connection is lost."""

    def __init__(self, *, url: str, channel: str) -> None:
        address = make_url(url)
        self._address = address.get_dialect()().create_connect_args(address)[1]  # TLS and all, as the pool has it
        self._channel = channel

    async def listen(self, on_notice: Callable[[], None]) -> None:
        """Call `on_notice` for every notice, until canceled; also once after each connect, for what was missed."""
        is_lost = False
        while True:
            try:
                await self._listen_once(on_notice)
                is_lost = False
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                if not is_lost:
                    log.info("notices.lost", channel=self._channel, reason=type(error).__name__)
                is_lost = True
            await asyncio.sleep(RECONNECT_AFTER)

    async def _listen_once(self, on_notice: Callable[[], None]) -> None:
        settings = {"application_name": "crier-notices"}
        connection = await asyncpg.connect(**self._address, timeout=5, server_settings=settings)
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(self._channel, lambda *_: on_notice())
            on_notice()
            await lost.wait()
        finally:
            connection.terminate()
