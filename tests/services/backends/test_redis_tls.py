"""Redis over TLS, as a `rediss://` address: Redis behind a proxy that speaks it, with a certificate of the test's."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis.asyncio import Redis

from services.backends.events import EventBus
from services.backends.redis import RedisAway, RedisGate


def write_certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1 that vouches for itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = folder / "redis.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


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


async def test_everything_works_over_tls(redis_url: str, redis: Redis, tmp_path: Path) -> None:
    """Commands, the quick reads past the client's pool, and events."""
    certificate = write_certificate(tmp_path)
    async with behind_tls(redis_url, certificate) as port:
        number = redis.connection_pool.connection_kwargs.get("db", 0)
        url = f"rediss://127.0.0.1:{port}/{number}?ssl_ca_certs={certificate}"
        gate = RedisGate(url=url)
        await gate.open()
        events = EventBus(url=url, gate=gate)
        await events.open()
        try:
            await gate.run(lambda client: client.set("over", "tls"))
            assert await redis.get("over") == b"tls"
            assert await gate.read_many(["over", "nothing"]) == [b"tls", None]
            user = uuid4()
            async with events.subscribe(user) as heard:
                await events.publish(user, b"changed")
                async with asyncio.timeout(5):
                    while await anext(heard) != b"changed":  # a Gap may come first
                        pass
        finally:
            await events.close()
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
