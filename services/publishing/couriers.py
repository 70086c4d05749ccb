"""What everybody does who carries a claimed target to its platform: steps that start from a saved checkpoint, under a
lease and through a breaker, and an end that is written down.

Which steps, and what an outcome means, is each courier's own: `publisher` shows posts, `preparing` does not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from services.backends.secrets import SecretBox
from services.domain.accounts import Platform
from services.domain.breakers import Judge
from services.domain.errors import CircuitOpen, CrierError, ErrorCode
from services.domain.publishing import Delivery, Finding, Step, StepOutcome
from services.guards.circuit_breaker import CircuitBreakerService
from services.providers.base import Provider
from services.publishing.allowances import Allowances
from services.publishing.endings import Ending, Endings
from services.publishing.recording import Recorder
from services.publishing.runs import FIND_OUT, Run
from services.publishing.watching import Watch
from services.queries.claims import Claim

log = structlog.get_logger(__name__)

UNFORESEEN = "Something unforeseen happened on our side."

SHORT_POLL = timedelta(seconds=3)
"""A platform that will be ready this soon is waited for; for longer the target is let go meanwhile."""


class StoodStill(CrierError):
    """Between saving a step and doing it the process stood still for as long as a lease lasts.

    Another worker may have asked meanwhile what became of the step, and be about to do it: it must not be done twice.
    """

    code = ErrorCode.UNAVAILABLE


class Courier:
    """Does steps at the platforms, and saves where each of them starts from."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        providers: Mapping[Platform, Provider],
        breakers: CircuitBreakerService,
        secrets: SecretBox,
        endings: Endings,
        media_url: Callable[[str], str],
        now: Callable[[], datetime],
        lease_for: timedelta,
        allowances: Allowances | None = None,
        watch: Watch | None = None,
    ) -> None:
        """`media_url` makes a stored address of an upload one that a platform can fetch now."""
        self._recorder = recorder
        self._providers = providers
        self._breakers = breakers
        self._secrets = secrets
        self._endings = endings
        self._media_url = media_url
        self._now = now
        self._lease_for = lease_for
        self._allowances = allowances
        self._watch = watch

    def _run(self, claim: Claim) -> Run:
        return Run(claim, self._delivery(claim), began_at=self._now())

    def _open_token(self, run: Run) -> None:
        token = self._secrets.open(run.claim.sealed_token, place=f"accounts|{run.claim.account_id}|access_token")
        run.delivery = replace(run.delivery, access_token=token)

    async def _begin(self, run: Run, step: Step) -> bool:
        """Save where the step starts from; False: the lease is lost, and it must not be done. What has no result yet
        and shows nothing needs no saving. A step that could not be saved was not sent, and shows nothing."""
        was_asked = run.step is FIND_OUT
        run.begin(step, self._now())
        if not run.delivery.checkpoint and not step.shows and not was_asked:
            return True

        try:
            is_held = await self._recorder.begin(run)
        except BaseException:
            run.begin(replace(step, shows=False), run.began_at)
            raise
        if is_held:
            self._tell(run)
        else:
            await self._leave_unsaved(run)
        run.unwritten = []
        return is_held

    async def _call(
        self, run: Run, call: Callable[[Delivery], Awaitable[StepOutcome | Finding]], judge: Judge
    ) -> StepOutcome | Finding | CircuitOpen:
        """The platform's answer; where it counts the call, in a place of what it grants."""
        if self._allowances is None or not run.step.spends:
            return await self._through_breaker(run, call, judge)
        return await self._allowances.spend(
            run.claim.platform, run.delivery.checkpoint, lambda: self._through_breaker(run, call, judge)
        )

    async def _through_breaker(
        self, run: Run, call: Callable[[Delivery], Awaitable[StepOutcome | Finding]], judge: Judge
    ) -> StepOutcome | Finding | CircuitOpen:
        async def act() -> StepOutcome | Finding:
            if self._now() - run.began_at >= self._lease_for:
                raise StoodStill("This process stood still for as long as its lease.")
            return await call(run.delivery)

        try:
            return await self._breakers.execute(run.claim.platform.breaker, act, judge=judge)
        except CircuitOpen as refusal:
            return refusal

    async def _let_go(self, run: Run, ending: Ending) -> None:
        """Write down how it ended, and only then heed a cancellation: what a platform did must be known."""
        await _see_through(self._record(run, ending))

    async def _record(self, run: Run, ending: Ending) -> None:
        if ending.outcome is not None:
            run.note(ending.outcome, self._now(), ending.code, ending.message)
        is_recorded = await self._recorder.let_go(run, ending)
        if is_recorded:
            self._tell(run)
        else:
            await self._leave_unsaved(run)
        if is_recorded and self._watch is not None and ending.seen_at is not None:
            self._watch.note_published(run.claim.platform, run.claim.scheduled_at, ending.seen_at)
        log.info(
            "publish.ended" if is_recorded else "publish.lease_lost",
            target=str(run.claim.target_id),
            platform=run.claim.platform,
            step=run.step.name,
            outcome=ending.outcome,
            code=ending.code,
        )

    async def _leave_unsaved(self, run: Run) -> None:
        """The lease is lost, and with it whatever this run has made last."""
        if not self._providers[run.claim.platform].forgets:
            await self._recorder.leave_unsaved(run)

    def _tell(self, run: Run) -> None:
        """These lines of the ledger are committed."""
        if self._watch is not None:
            for attempt in run.unwritten:
                self._watch.note_attempt(run.claim.platform, attempt)

    def _delivery(self, claim: Claim) -> Delivery:
        """What the client needs, but for the token: that is opened when it is first used."""
        return Delivery(
            target_id=claim.target_id,
            post_id=claim.post_id,
            account_id=claim.account_id,
            user_id=claim.user_id,
            platform=claim.platform,
            external_account_id=claim.external_account_id,
            access_token="",
            caption=claim.caption,
            link=claim.link,
            media=tuple(
                medium if medium.upload_id is None else replace(medium, url=self._media_url(medium.url))
                for medium in claim.media
            ),
            options=claim.options,
            scheduled_at=claim.scheduled_at,
            attempt=claim.attempt,
            first_claimed_at=claim.first_claimed_at,
            checkpoint=claim.checkpoint,
        )


async def _see_through(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
