"""Redis over TLS, as a `rediss://` address, with a certificate of the test's."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from services.backends.events import EventBus
from services.backends.redis import RedisAway, RedisGate
from tests.end_to_end.local_run import free_port
from tests.faulty import FaultyNetwork
from tests.services.backends.caching import PATIENTLY
from tests.services.backends.certificates import write_certificate
from tests.services.backends.sentinels import Server, find_redis_with_tls


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes until nothing does."""
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def behind_tls(redis_url: str, certificate: Path) -> AsyncIterator[int]:
    """The port of a proxy that takes TLS off."""
    where = Redis.from_url(redis_url).connection_pool.connection_kwargs
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "path" in where:
            inner = await asyncio.open_unix_connection(where["path"])
        else:
            inner = await asyncio.open_connection(where["host"], where["port"])
        await asyncio.gather(pour(reader, inner[1]), pour(inner[0], writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def see_everything_work(url: str) -> None:
    """Commands, the quick reads past the client's pool, and events."""
    gate = RedisGate(url=url, timeout=PATIENTLY)
    await gate.open()
    events = EventBus(url=url, gate=gate)
    await events.open()
    try:
        await gate.run(lambda client: client.set("over", "tls"))
        assert await gate.read_many(["over", "nothing"]) == [b"tls", None]
        user = uuid4()
        async with events.subscribe(user) as heard:
            await events.publish(user, b"changed")
            async with asyncio.timeout(5):
                while await anext(heard) != b"changed":  # a Gap: it was said before anybody could listen
                    await events.publish(user, b"changed")
    finally:
        await events.close()
        await gate.close()


async def test_everything_works_over_tls(redis_url: str, redis: Redis, tmp_path: Path) -> None:
    """With a proxy, which is what many who rent a Redis have before theirs."""
    certificate = write_certificate(tmp_path)
    async with behind_tls(redis_url, certificate) as port:
        number = redis.connection_pool.connection_kwargs.get("db", 0)
        await see_everything_work(f"rediss://127.0.0.1:{port}/{number}?ssl_ca_certs={certificate}")
        assert await redis.get("over") == b"tls"


async def test_everything_works_with_a_redis_that_speaks_tls_itself(tmp_path: Path) -> None:
    """And nothing else, with a password."""
    program = find_redis_with_tls(tmp_path)
    if program is None:
        pytest.skip("no Redis on this machine that was built with TLS")
    certificate = write_certificate(tmp_path)
    server = Server([program, "redis-server"], tmp_path, free_port(), "a-password", certificate)
    server.start(("requirepass a-password",))
    try:
        await see_everything_work(f"rediss://:a-password@127.0.0.1:{server.port}/0?ssl_ca_certs={certificate}")
    finally:
        server.kill()


async def test_frozen_redis_is_found_again_over_tls(redis_url: str, tmp_path: Path) -> None:
    """Its connections are dropped though it answers no good-bye, and it can be closed over that."""
    certificate = write_certificate(tmp_path)
    async with behind_tls(redis_url, certificate) as port, FaultyNetwork(host="127.0.0.1", port=port) as network:
        url = f"rediss://127.0.0.1:{network.port}/0?ssl_ca_certs={certificate}"
        gate = RedisGate(url=url, timeout=timedelta(seconds=1))
        await asyncio.gather(*(gate.run(lambda client: client.ping()) for _ in range(3)))
        network.hang()
        with pytest.raises(RedisAway):
            await gate.run(lambda client: client.ping())
        await asyncio.sleep(1.5)  # longer than a good-bye is waited for
        network.heal()
        network.cut()
        async with asyncio.timeout(20):
            while gate.is_away:
                await asyncio.sleep(0.02)
        await asyncio.gather(*(gate.run(lambda client: client.ping()) for _ in range(3)))
        network.hang()
        await gate.close()


async def test_a_certificate_nobody_vouches_for_is_refused(redis_url: str, tmp_path: Path) -> None:
    """By default, without a word in the address."""
    async with behind_tls(redis_url, write_certificate(tmp_path)) as port:
        gate = RedisGate(url=f"rediss://127.0.0.1:{port}/0")
        try:
            with pytest.raises(RedisAway):
                await gate.run(lambda client: client.ping())
        finally:
            await gate.close()
