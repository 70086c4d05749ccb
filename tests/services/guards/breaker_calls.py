"""Calls behind a circuit breaker, as its tests make them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.domain.breakers import BreakerState
from services.domain.errors import ErrorCode
from services.domain.publishing import Failure, FailureKind, Rejected
from services.guards.circuit_breaker import CircuitBreakerService

NAME = "instagram-api"
HASH = f"crier:breaker:{NAME}"
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class PlatformDown(Exception):
    """What a failing call raises."""


class Wall:
    """A clock that stands until the test moves it."""

    def __init__(self) -> None:
        self.now = 1_772_366_400.0

    def __call__(self) -> float:
        return self.now


async def succeed() -> str:
    return "published"


async def fail() -> str:
    raise PlatformDown


def returning(value: object) -> Callable[[], Awaitable[object]]:
    async def call() -> object:
        return value

    return call


def rejected(kind: FailureKind) -> Rejected:
    return Rejected(Failure(kind, ErrorCode.PLATFORM_ERROR, "no"))


async def fail_times(breakers: CircuitBreakerService, times: int) -> None:
    for _ in range(times):
        with pytest.raises(PlatformDown):
            await breakers.execute(NAME, fail)


async def open_it(breakers: CircuitBreakerService) -> None:
    await fail_times(breakers, 5)


async def state_of(breakers: CircuitBreakerService) -> BreakerState:
    return (await breakers.get_stats(NAME)).state


async def run_forever() -> None:
    await asyncio.Event().wait()


async def until_begun(call: Awaitable[Any], seconds: float = 0.05) -> asyncio.Task[Any]:
    """A call that has been let through and runs."""
    task = asyncio.ensure_future(call)
    await asyncio.sleep(seconds)
    assert not task.done()
    return task
