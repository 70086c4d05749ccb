"""Mistakes that the programme must find: each is the product wired with one part that is wrong."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from purgatory.service._async.unit_of_work import AsyncRedisUnitOfWork
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.errors import CircuitOpen
from services.domain.limits import LimitReached, Window
from services.domain.publishing import Step
from services.guards.quotas import Quotas
from services.models import TARGETS
from services.publishing.endings import Ending
from services.publishing.preparing import Preparer
from services.publishing.publisher import Publisher
from services.publishing.recording import Recorder
from services.publishing.runs import FIND_OUT, Run
from tests.faults.wiring import LEASE, Hurried, Windowed


class Unfenced(Hurried):
    """The fence removed: who lost the lease writes all the same."""

    @cached_property
    def publisher(self) -> Publisher:
        """The product's, with a record that takes back every lease."""
        return self._unfenced(super().publisher)

    @cached_property
    def preparer(self) -> Preparer:
        """The same before the time."""
        return self._unfenced(super().preparer)

    def _unfenced(self, courier: Any) -> Any:
        courier._recorder = Usurper(
            transactions=self.backends.transactions, quotas=self.quotas, endings=self.endings, lease_for=LEASE
        )
        return courier


class Usurper(Recorder):
    """Writes under whatever lease the target has."""

    async def begin(self, run: Run) -> bool:
        """Write it, whoever holds the target."""
        await self._usurp(run)
        return await super().begin(run)

    async def let_go(self, run: Run, ending: Ending) -> bool:
        """Write it, whoever holds the target."""
        await self._usurp(run)
        return await super().let_go(run, ending)

    async def _usurp(self, run: Run) -> None:
        async def usurp(tx: Any) -> int:
            mine = update(TARGETS).where(TARGETS.c.id == run.claim.target_id)
            held = mine.values(lease_until=func.now() + LEASE).returning(TARGETS.c.lease)
            return int((await tx.connection.execute(held)).scalar_one())

        run.claim = replace(run.claim, lease=await self._transactions.execute_in_transaction(usurp))


class PlainPurgatory(Hurried):
    """purgatory with its own Redis unit of work."""

    @cached_property
    def breakers(self) -> Any:
        """No part of ours between it and Redis."""
        return PurgatoryBreakers(self.endpoints.redis_url)


class PurgatoryBreakers:
    """purgatory as it comes, behind the one method that the publisher calls."""

    def __init__(self, url: str) -> None:
        self._factory = AsyncCircuitBreakerFactory(5, 0.5, uow=AsyncRedisUnitOfWork(url))
        self._is_ready = False

    async def execute(self, name: str, fn: Callable[[], Awaitable[Any]], *, judge: object) -> Any:
        """What `fn` returns, if purgatory lets it."""
        del judge
        if not self._is_ready:
            await self._factory.initialize()
            self._is_ready = True
        try:
            async with await self._factory.get_breaker(name):
                return await fn()
        except OpenedState as refusal:
            raise CircuitOpen(f"{name} is resting.", retry_after=0.5) from refusal


class Hesitant(Windowed):
    """A limit that looks, and then takes."""

    @cached_property
    def quotas(self) -> Quotas:
        """Counts first and takes later what was free then."""
        return LooksFirst()


class LooksFirst(Quotas):
    """Between the look and the taking others look too."""

    async def take_many(
        self, connection: AsyncConnection, requests: Iterable[tuple[str, Sequence[Window]]]
    ) -> dict[str, LimitReached]:
        """Refuses what would not have fitted when it looked."""
        wanted = list(requests)
        distinct = {window.key: window for _, windows in wanted for window in windows}
        uses = {use.window.key: use for use in await self.count(connection, list(distinct.values()))}
        room = {key: use.remaining for key, use in uses.items()}
        await asyncio.sleep(0.1)
        refused, fitting = {}, []
        for delivery, windows in wanted:
            full = [window for window in windows if room[window.key] <= 0]
            if full:
                until = uses[full[0].key].reset_at or uses[full[0].key].as_of + full[0].length
                refused[delivery] = LimitReached(full[0], until, 1.0)
                continue
            for window in windows:
                room[window.key] -= 1
            fitting.append((delivery, [replace(window, limit=1_000_000) for window in windows]))
        return {**refused, **await super().take_many(connection, fitting)}


class Belated(Hurried):
    """A checkpoint saved after its step."""

    @cached_property
    def publisher(self) -> Publisher:
        """The product's, which first does and then writes down what it was about to do."""
        publisher = super().publisher
        publisher.__class__ = ActsFirst
        return publisher


class ActsFirst(Publisher):
    """Saves where a step starts from once the step is done."""

    async def _begin(self, run: Run, step: Step) -> bool:
        run.begin(step, self._now())
        return True

    async def _call(self, run: Run, call: Any, judge: Any) -> Any:
        outcome = await super()._call(run, call, judge)
        if run.step is not FIND_OUT:
            await self._recorder.begin(run)
            run.unwritten = []
        return outcome
