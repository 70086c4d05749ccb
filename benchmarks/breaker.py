"""What a circuit breaker costs: `python -m benchmarks.breaker`, on a Redis of its own.

Beside it, in the same run: a bare PING, the bare script that the breaker runs, and purgatory as it comes, in memory.
"""

import asyncio
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import structlog
import uvloop
from purgatory import AsyncCircuitBreakerFactory

from app.embedded import EmbeddedServers
from benchmarks.rounds import compare
from services.backends.redis import RedisGate
from services.domain.breakers import BreakerPolicy
from services.domain.errors import CircuitOpen
from services.guards.breaker_store import BreakerStore
from services.guards.circuit_breaker import CircuitBreakerService


async def main(redis_url: str) -> None:
    """Closed path, failing path, open path, reading, and the closed path of fifty at once."""
    gate = RedisGate(url=redis_url)
    policy = BreakerPolicy(threshold=1_000_000, minimum_calls=1_000_000)
    breakers = CircuitBreakerService(gate=gate, policy=policy)
    store = BreakerStore(gate=gate, policy=policy)
    keys, question = store._arguments("bare", {"what": "admit", "token": uuid4().hex})
    shipped = AsyncCircuitBreakerFactory()
    await gate.open()
    sha = await gate.client.script_load(store._script.script)

    async def nothing() -> None:
        return None

    async def fail() -> None:
        raise ConnectionResetError

    async def run_shipped() -> None:
        async with await shipped.get_breaker("shipped"):
            await nothing()

    async def run_failing() -> None:
        with suppress(ConnectionResetError):
            await breakers.execute("failing", fail)

    async def run_open() -> None:
        with suppress(CircuitOpen):
            await breakers.execute("open", nothing)

    async def fifty() -> None:
        await asyncio.gather(*(breakers.execute("closed", nothing) for _ in range(50)))

    async def fifty_bare() -> None:
        await asyncio.gather(*(gate.run(lambda client: client.evalsha(sha, 2, *keys, *question)) for _ in range(50)))

    await breakers.force_open("open", by="benchmark")
    print("One call after the other:")
    await compare(
        {
            "bare script (EVALSHA of one admission)": lambda: gate.client.evalsha(sha, 2, *keys, *question),
            "bare PING": gate.client.ping,
            "purgatory as shipped, in memory of one process": run_shipped,
            "execute, closed: one round trip": lambda: breakers.execute("closed", nothing),
            "execute, the call fails: two round trips": run_failing,
            "execute, open: refused after one round trip": run_open,
            "load_stats of three, one pipeline": lambda: breakers.load_stats(["closed", "failing", "open"]),
        }
    )
    print("Fifty at once, per batch:")
    await compare({"50 × bare script": fifty_bare, "50 × execute, closed": fifty}, calls=10)
    await without_redis(policy)
    await gate.close()


async def without_redis(policy: BreakerPolicy) -> None:
    """A dead Redis, once noticed, costs nothing but the memory."""
    gate = RedisGate(url="redis://127.0.0.1:1", timeout=timedelta(milliseconds=200))
    breakers = CircuitBreakerService(gate=gate, policy=policy)

    async def nothing() -> None:
        return None

    print("Without Redis:")
    await compare({"bare call": nothing, "execute, by memory": lambda: breakers.execute("closed", nothing)})
    await gate.close()


if __name__ == "__main__":
    structlog.configure(
        processors=[structlog.processors.KeyValueRenderer()], logger_factory=structlog.ReturnLoggerFactory()
    )
    with (
        tempfile.TemporaryDirectory(prefix="crier-benchmark-") as folder,
        EmbeddedServers(data_dir=Path(folder), postgres=False, durable=False) as servers,
    ):
        uvloop.run(main(servers.redis_url))
