"""One process of several behind one breaker: `breaker_caller.py REDIS_URL CALLS HOLD_SECONDS`.

Prints `ready`, waits for a line, then makes all its calls at once, each of which holds on for a while, and prints how
many ran and how many were refused.
"""

import asyncio
import json
import sys
from datetime import timedelta

import structlog

from services.backends.redis import RedisGate
from services.domain.breakers import BreakerPolicy
from services.domain.errors import CircuitOpen
from services.guards.circuit_breaker import CircuitBreakerService


async def main(redis_url: str, calls: int, hold: float) -> None:
    gate = RedisGate(url=redis_url, timeout=timedelta(seconds=5))
    policy = BreakerPolicy(open_for=timedelta(milliseconds=200), probe_lease=timedelta(seconds=1))
    breakers = CircuitBreakerService(gate=gate, policy=policy)
    await gate.open()
    say("ready")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)

    async def call() -> None:
        say("runs")
        await asyncio.sleep(hold)

    ends = await asyncio.gather(*(breakers.execute("shared-api", call) for _ in range(calls)), return_exceptions=True)
    refused = sum(isinstance(end, CircuitOpen) for end in ends)
    say(json.dumps({"ran": sum(end is None for end in ends), "refused": refused}))
    await gate.close()


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
