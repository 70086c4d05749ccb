"""Circuit breakers in Redis, one hash each, for all processes: `circuit_breaker.lua` is the machine, this asks it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import orjson
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError, RedisError

from services.backends.redis import RedisAway, RedisGate
from services.backends.troubles import Trouble
from services.domain.breakers import BreakerPolicy, BreakerState, Transition, Verdict

_SOURCE = Path(__file__).with_name("circuit_breaker.lua").read_text()
_NAMES = "crier:breakers"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A breaker at one moment, and whether what was asked for is granted."""

    state: BreakerState
    generation: int
    failures: int
    opened_at: datetime | None
    forced_by: str | None
    retry_after: float | None
    """Seconds; None where an operator holds it open."""
    history: tuple[Transition, ...] = ()
    granted: bool = True
    bucket: int = 0
    """Where a call that begins now is counted for the failure rate."""
    change: Transition | None = None
    """The transition that this question brought about."""


class BreakerStore:
    """Asks Redis, one round trip a question. Every method raises RedisAway and nothing else."""

    def __init__(self, *, gate: RedisGate, policy: BreakerPolicy, clock: Callable[[], float] | None = None) -> None:
        """`clock` (seconds since 1970) replaces Redis's own, which is the one that many machines share."""
        self._gate = gate
        self._clock = clock
        self._policy = {
            "threshold": policy.threshold,
            "open_for": _milliseconds(policy.open_for),
            "rate": policy.rate,
            "window": _milliseconds(policy.rate_window),
            "minimum": policy.minimum_calls,
            "lease": _milliseconds(policy.probe_lease),
        }
        self._script = AsyncScript(gate.client, _SOURCE)
        self._refused = Trouble("breakers.refused")

    async def admit(self, name: str, token: str) -> Snapshot:
        """Ask whether a call may pass; where it becomes the probe, `token` is what it holds."""
        return await self._ask(name, {"what": "admit", "token": token})

    async def renew(self, name: str, token: str) -> Snapshot:
        """Keep the probe for another lease."""
        return await self._ask(name, {"what": "renew", "token": token})

    async def report(self, name: str, token: str, generation: int, bucket: int, verdict: Verdict) -> Snapshot:
        """Tell how a call ended that was let through in `generation`; granted if that still mattered."""
        told = {"token": token, "generation": generation, "bucket": bucket, "verdict": verdict}
        return await self._ask(name, {"what": "report", **told})

    async def force(self, what: str, name: str, by: str) -> Snapshot:
        """`open`, `close` or `reset` it by hand."""
        return await self._ask(name, {"what": what, "by": by, "with_history": True})

    async def look(self, names: Sequence[str]) -> list[Snapshot]:
        """How breakers stand, in the order asked, by one pipeline."""
        if not names:
            return []
        answers = await self._reach(lambda client: self._look(client, names))
        return [_snapshot(answer) for answer in answers]

    async def names(self) -> set[str]:
        """Every breaker that was used within the last 30 days."""
        found = await self._reach(lambda client: client.smembers(_NAMES))
        return {name.decode() if isinstance(name, bytes) else name for name in found}

    async def _ask(self, name: str, question: Mapping[str, Any]) -> Snapshot:
        keys, args = self._arguments(name, question)
        answer = await self._reach(lambda _: self._script(keys, args))
        self._refused.end()  # every question writes, but for a mere look
        return _snapshot(answer)

    async def _look(self, client: Redis, names: Sequence[str]) -> list[bytes]:
        pipeline = client.pipeline(transaction=False)
        for name in names:
            keys, args = self._arguments(name, {"what": "look", "with_history": True})
            pipeline.evalsha(self._script.sha, len(keys), *keys, *args)
        try:
            return await pipeline.execute()
        except NoScriptError:
            await client.script_load(_SOURCE)
            return await self._look(client, names)

    def _arguments(self, name: str, question: Mapping[str, Any]) -> tuple[list[str], list[str | bytes]]:
        now = {} if self._clock is None else {"now": round(self._clock() * 1000)}
        return [f"crier:breaker:{name}", _NAMES], [name, orjson.dumps({**self._policy, **now, **question})]

    async def _reach(self, call: Callable[[Redis], Awaitable[T]]) -> T:
        """A Redis that is there but refuses (out of memory, a key of another type) is as good as away."""
        try:
            return await self._gate.run(call)
        except RedisError as error:
            self._refused.note(error)
            raise RedisAway("Redis refuses to keep circuit breakers.") from error


def _snapshot(answer: bytes) -> Snapshot:
    told = orjson.loads(answer)
    retry_after = told.get("retry_after")
    change = told.get("change")
    history = told.get("history")
    return Snapshot(
        granted=told["granted"],
        state=BreakerState(told["state"]),
        generation=told["generation"],
        failures=told["failures"],
        opened_at=_moment(told["opened_at"]) if "opened_at" in told else None,
        forced_by=told.get("forced_by"),
        retry_after=None if retry_after is None else retry_after / 1000,
        bucket=told["bucket"],
        change=None if change is None else _transition(change),
        history=tuple(_transition(one) for one in orjson.loads(history)) if history else (),
    )


def _transition(told: Mapping[str, Any]) -> Transition:
    states = BreakerState(told["from"]), BreakerState(told["to"])
    return Transition(*states, _moment(told["at"]), told["reason"], told.get("by"))


def _moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _milliseconds(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)
