"""Slow work before its time: containers and uploads are made some minutes early, and only the showing step is left.

A target that is being prepared stays SCHEDULED, for its person and for everybody: it holds a lease but no quota slot,
and a cancel or an edit simply takes the lease away and forgets the checkpoint. No step that shows anything is ever
done here. Trouble is mostly left to the post's own time; what the platform says of the *content* is told at once,
while there is still time to mend it.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta

import structlog

from services.domain.breakers import judge_call
from services.domain.errors import CircuitOpen, CrierError, ErrorCode
from services.domain.posts import AttemptOutcome
from services.domain.publishing import Advanced, FailureKind, Pending, Rejected
from services.publishing.couriers import SHORT_POLL, UNFORESEEN, Courier, StoodStill
from services.publishing.endings import NO_STEP, Ending, Slot, circuit_wait, words_of
from services.publishing.runs import Run
from services.queries.claims import Claim

log = structlog.get_logger(__name__)

AGAIN_AFTER = timedelta(seconds=30)
"""Passing trouble is tried again so soon, while there is time left before the post's own."""


class Preparer(Courier):
    """Takes claimed targets up to the step that shows them."""

    async def prepare(self, claim: Claim) -> None:
        """Prepare as much as can be, and let the target go. Cancellation leaves it to other workers."""
        run = self._run(claim)
        try:
            ending = await self._advance(run)
        except asyncio.CancelledError:
            await self._let_go(run, self._paused(run, AttemptOutcome.INTERRUPTED, timedelta(0)))
            raise
        except StoodStill:
            ending = None
        except CrierError as trouble:
            # A database that is away, say: it may be back before the post's time.
            ending = self._paused(run, AttemptOutcome.FAILED, AGAIN_AFTER, code=trouble.code, message=trouble.message)
        except Exception:
            log.exception("prepare.unforeseen", target=str(claim.target_id), step=run.step.name)
            ending = self._paused(run, AttemptOutcome.FAILED, None, code=ErrorCode.INTERNAL, message=UNFORESEEN)
        if ending is None:
            log.info("prepare.lease_lost", target=str(claim.target_id))
            return
        await self._let_go(run, ending)

    async def _advance(self, run: Run) -> Ending | None:
        provider = self._providers[run.claim.platform]
        self._open_token(run)
        while not (step := provider.next_step(run.delivery)).shows:
            if not await self._begin(run, step):
                return None
            match await self._call(run, provider.perform, judge_call):
                case Advanced(checkpoint):
                    run.advance(checkpoint, self._now())
                case Pending(checkpoint, poll_after) if poll_after <= SHORT_POLL:
                    run.wait(checkpoint, self._now())
                    await asyncio.sleep(poll_after.total_seconds())
                case Pending(checkpoint, poll_after):
                    run.delivery = replace(run.delivery, checkpoint=checkpoint)
                    return self._paused(run, AttemptOutcome.WAITING, poll_after)
                case Rejected() as refusal:
                    return self._refused(run, refusal)
                case CircuitOpen() as refusal:
                    wait = circuit_wait(refusal)
                    return self._paused(run, AttemptOutcome.DEFERRED, wait, code=refusal.code, message=refusal.message)
                case surprise:
                    # It is out, or may be, though nothing showed it: let its own time find that out.
                    message = (
                        f"The platform's answer ({type(surprise).__name__}) was not to be expected before its time."
                    )
                    code = ErrorCode.OUTCOME_UNKNOWN
                    return self._paused(run, AttemptOutcome.UNKNOWN, None, code=code, message=message)
        return self._paused(run, None, None)

    def _refused(self, run: Run, refusal: Rejected) -> Ending:
        failure = refusal.failure
        if failure.code is ErrorCode.CONTENT_REJECTED:
            ending = self._endings.rejected(run.decided, refusal, showed=False)
            # No slot was taken, and this was the attempt.
            return replace(ending, slot=Slot.KEPT, changes={**ending.changes, "attempt_count": run.claim.attempt})
        run.delivery = replace(run.delivery, checkpoint=refusal.checkpoint)
        wait = (failure.retry_after or AGAIN_AFTER) if failure.kind in (FailureKind.RETRY, FailureKind.WAIT) else None
        is_held_back = failure.code is ErrorCode.RATE_LIMITED and not failure.left
        outcome = AttemptOutcome.DEFERRED if is_held_back else AttemptOutcome.FAILED
        ending = self._paused(run, outcome, wait, code=failure.code, message=words_of(failure))
        if failure.kind is FailureKind.RECONNECT:
            return replace(ending, account=self._endings.account_after_refusal(run.claim))
        return ending

    def _paused(
        self,
        run: Run,
        outcome: AttemptOutcome | None,
        wait: timedelta | None,
        *,
        code: ErrorCode | None = None,
        message: str | None = None,
    ) -> Ending:
        """Let go without a word to anybody; what is left is gone on with after `wait`, or else at the post's time."""
        again = None if wait is None else self._now() + wait
        is_early = again is not None and again < run.claim.scheduled_at
        changes = {**NO_STEP, "checkpoint": run.delivery.checkpoint, "prepare_at": again if is_early else None}
        return Ending(outcome, changes, code, message, is_told=False)
