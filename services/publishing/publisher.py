"""One claimed target, from start to end.

    ask the platform, if the last step may have shown the post
    loop: save the checkpoint ─► do the step ─► look at its outcome
    let go: the target's new state, its ledger, its quota slot and the event are one transaction

No transaction is open across a platform call. A target is let go once, under its lease; where even that fails, the
lease runs out and `rescue` has the next worker ask the platform.
"""

import asyncio

import structlog

from services.domain.breakers import judge_call, judge_question
from services.domain.errors import CircuitOpen, CrierError, ErrorCode
from services.domain.publishing import (
    Advanced,
    Failure,
    FailureKind,
    Finding,
    Pending,
    Published,
    Rejected,
    StepOutcome,
    Unknown,
)
from services.publishing.couriers import SHORT_POLL, UNFORESEEN, Courier, StoodStill
from services.publishing.endings import Ending, Slot, circuit_wait
from services.publishing.runs import FIND_OUT, Run
from services.queries.claims import Claim

log = structlog.get_logger(__name__)

STOPPED = "The worker stopped while the post was being shown."


class Publisher(Courier):
    """Sends claimed targets to their platforms."""

    async def publish(self, claim: Claim) -> None:
        """Take the target as far as it goes now, and let it go. Cancellation hands it back to other workers."""
        run = self._run(claim)
        try:
            ending = await self._advance(run)
        except asyncio.CancelledError:
            await self._let_go(run, self._interrupted(run))
            raise
        except StoodStill:
            ending = None
        except CrierError as error:
            log.warning("publish.held_up", target=str(claim.target_id), step=run.step.name, code=error.code.value)
            ending = self._blundered(run, error)
        except Exception as error:
            log.exception("publish.unforeseen", target=str(claim.target_id), step=run.step.name)
            ending = self._blundered(run, error)
        if ending is None:
            log.info("publish.lease_lost", target=str(claim.target_id))
            return
        await self._let_go(run, ending)

    async def _advance(self, run: Run) -> Ending | None:
        """How this run ends; None where the lease was lost on the way."""
        provider = self._providers[run.claim.platform]
        self._open_token(run)
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
                until = self._now() + circuit_wait(outcome)
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
        return self._endings.rejected(run.decided, Rejected(failure, run.delivery.checkpoint), showed=False)
