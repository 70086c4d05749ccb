"""One claimed target, from start to end.

    ask the platform, if the last step may have shown the post
    loop: save the checkpoint ─► do the step ─► look at its outcome
    let go: the target's new state, its ledger, its quota slot and the event are one transaction

No transaction is open across a platform call. A target is let go once, under its lease; where even that fails, the
lease runs out and `rescue` has the next worker ask the platform.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from services.backends.secrets import SecretBox
from services.domain.accounts import Platform
from services.domain.breakers import Judge, judge_call, judge_question
from services.domain.errors import CircuitOpen, CrierError, ErrorCode
from services.domain.publishing import (
    Advanced,
    Delivery,
    Failure,
    FailureKind,
    Finding,
    Pending,
    Published,
    Rejected,
    Step,
    StepOutcome,
    Unknown,
)
from services.guards.circuit_breaker import CircuitBreakerService
from services.providers.base import Provider
from services.publishing.endings import Ending, Endings, Slot
from services.publishing.recording import Recorder
from services.publishing.runs import Run
from services.publishing.watching import Watch
from services.queries.claims import Claim

log = structlog.get_logger(__name__)

SHORT_POLL = timedelta(seconds=3)
"""A platform that will be ready this soon is waited for; for longer the target is let go meanwhile."""

FIND_OUT = Step("find_out", shows=False)
UNFORESEEN = "Something unforeseen happened on our side."
STOPPED = "The worker stopped while the post was being shown."


class StoodStill(CrierError):
    """Between saving a step and doing it the process stood still for as long as a lease lasts.

    Another worker may have asked meanwhile what became of the step, and be about to do it: it must not be done twice.
    """

    code = ErrorCode.UNAVAILABLE


class Publisher:
    """Sends claimed targets to their platforms."""

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
        self._watch = watch

    async def publish(self, claim: Claim) -> None:
        """Take the target as far as it goes now, and let it go. Cancellation hands it back to other workers."""
        run = Run(claim, self._delivery(claim), began_at=self._now())
        try:
            ending = await self._advance(run)
        except asyncio.CancelledError:
            await _see_through(self._let_go(run, self._interrupted(run)))
            raise
        except StoodStill:
            ending = None
        except Exception as error:
            log.exception("publish.unforeseen", target=str(claim.target_id), step=run.step.name)
            ending = self._blundered(run, error)
        if ending is None:
            log.info("publish.lease_lost", target=str(claim.target_id))
            return
        await _see_through(self._let_go(run, ending))

    async def _advance(self, run: Run) -> Ending | None:
        """How this run ends; None where the lease was lost on the way."""
        provider = self._providers[run.claim.platform]
        token = self._secrets.open(run.claim.sealed_token, place=f"accounts|{run.claim.account_id}|access_token")
        run.delivery = replace(run.delivery, access_token=token)
        if run.claim.step_shows:
            run.begin(FIND_OUT, self._now())
            ending = await self._judge(run, await self._call(run, provider.find_out, judge_question))
            if ending is not None:
                return ending
        while True:
            if not await self._begin(run, provider.next_step(run.delivery)):
                return None
            ending = await self._judge(run, await self._call(run, provider.perform, judge_call))
            if ending is not None:
                return ending

    async def _begin(self, run: Run, step: Step) -> bool:
        """Save where the step starts from. What has no result yet and shows nothing needs no saving."""
        was_asked = run.step is FIND_OUT
        run.begin(step, self._now())
        if not run.delivery.checkpoint and not step.shows and not was_asked:
            return True

        is_held = await self._recorder.begin(run)
        if is_held:
            self._tell(run)
        run.unwritten = []
        return is_held

    async def _call(
        self, run: Run, call: Callable[[Delivery], Awaitable[StepOutcome | Finding]], judge: Judge
    ) -> StepOutcome | Finding | CircuitOpen:
        """The platform's answer through its breaker."""

        async def act() -> StepOutcome | Finding:
            if self._now() - run.began_at >= self._lease_for:
                raise StoodStill("This process stood still for as long as its lease.")
            return await call(run.delivery)

        try:
            return await self._breakers.execute(run.claim.platform.breaker, act, judge=judge)
        except CircuitOpen as refusal:
            return refusal

    async def _judge(self, run: Run, outcome: StepOutcome | Finding | CircuitOpen) -> Ending | None:
        """The ending that an outcome asks for; None: go on with the next step."""
        match outcome:
            case Advanced(checkpoint):
                run.advance(checkpoint, self._now())
                return None
            case Pending(checkpoint, poll_after) if poll_after <= SHORT_POLL:
                run.wait(checkpoint, self._now())
                await asyncio.sleep(poll_after.total_seconds())
                return None
            case Pending():
                return self._endings.pending(outcome, may_show=run.may_show)
            case Published():
                return self._endings.published(run.claim, outcome)
            case Rejected():
                return self._endings.rejected(run.decided, outcome, showed=run.may_show)
            case Unknown():
                return self._endings.unknown(outcome, since=run.asking_since)
            case CircuitOpen():
                until = self._now() + timedelta(seconds=outcome.retry_after or 60)
                slot = Slot.KEPT if run.claim.step_shows else Slot.GIVEN_BACK
                return self._endings.deferred(
                    run.claim, outcome.code, outcome.message, until, checkpoint=run.delivery.checkpoint, slot=slot
                )

    def _interrupted(self, run: Run) -> Ending:
        """A stop says nothing about the post: whoever takes it over asks, however long it has been asked already."""
        if run.may_show:
            return self._endings.unknown(Unknown(STOPPED, run.delivery.checkpoint), since=self._now())
        return self._endings.handed_back(run.claim, run.delivery.checkpoint)

    def _blundered(self, run: Run, error: Exception) -> Ending:
        """A mistake of ours is never taken for `not sent`, nor repeated for ever."""
        code, message = ErrorCode.INTERNAL, UNFORESEEN
        if isinstance(error, CrierError):
            code, message = error.code, error.message
        if run.may_show:
            return self._endings.unknown(Unknown(message, run.delivery.checkpoint), since=run.asking_since)
        failure = Failure(FailureKind.RETRY, code, message, left=False)
        return self._endings.rejected(run.claim, Rejected(failure, run.delivery.checkpoint), showed=False)

    async def _let_go(self, run: Run, ending: Ending) -> None:
        run.note(ending.outcome, self._now(), ending.code, ending.message)
        is_recorded = await self._recorder.let_go(run, ending)
        if is_recorded:
            self._tell(run)
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
    """Do it to its end, and only then heed a cancellation: what a platform did must be written down."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
