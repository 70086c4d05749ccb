"""What the publisher does with a client, without its database: steps, saved checkpoints, questions after doubt."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from services.domain.publishing import (
    Advanced,
    Delivery,
    FailureKind,
    Finding,
    Pending,
    Published,
    Rejected,
    Step,
    StepOutcome,
    Unknown,
)
from services.providers.base import Provider

LONGEST_SLEEP = 0.02


@dataclass
class Drive:
    """One delivery on its way. `saved` is all that would outlive the process."""

    provider: Provider
    delivery: Delivery
    before: Callable[[Step], None] = lambda _: None
    steps: list[str] = field(default_factory=list)
    outcomes: list[StepOutcome | Finding] = field(default_factory=list)
    is_in_doubt: bool = False
    retries: int = 0

    async def run(self, *, at_most: int = 80) -> Published | Rejected:
        """To the end: out, or refused in a way that trying again does not help (or has not helped five times)."""
        for _ in range(at_most):
            outcome = await self.once()
            if isinstance(outcome, Published | Rejected) and not self._is_retried(outcome):
                return outcome
        raise AssertionError(f"no end after {at_most} steps: {self.steps}, {self.outcomes[-3:]}")

    async def once(self) -> StepOutcome | Finding:
        """One step, or one question where the last step may have shown the post."""
        step = self.provider.next_step(self.delivery)
        self.before(step)
        self.steps.append("find_out" if self.is_in_doubt else step.name)
        act = self.provider.find_out if self.is_in_doubt else self.provider.perform
        outcome = await act(self.delivery)
        self.outcomes.append(outcome)
        match outcome:
            case Advanced(checkpoint):
                self._save(checkpoint, is_in_doubt=False)
            case Pending(checkpoint, poll_after):
                self._save(checkpoint, is_in_doubt=False)
                await asyncio.sleep(min(poll_after.total_seconds(), LONGEST_SLEEP))
            case Rejected(_, checkpoint):
                self._save(checkpoint, is_in_doubt=False)
            case Unknown(_, checkpoint, ask_after):
                self._save(checkpoint, is_in_doubt=True)
                await asyncio.sleep(min(ask_after.total_seconds(), LONGEST_SLEEP))
            case Published():
                pass
        return outcome

    async def die_in(self, step: Step, *, is_done: bool) -> None:
        """The worker dies in this step, before or after the platform did it; what it learned is lost."""
        if is_done:
            await self.provider.perform(self.delivery)
        self.is_in_doubt = step.shows

    def _is_retried(self, outcome: Published | Rejected) -> bool:
        if isinstance(outcome, Published) or outcome.failure.kind is not FailureKind.RETRY or self.retries == 5:
            return False
        self.retries += 1
        return True

    def _save(self, checkpoint: object, *, is_in_doubt: bool) -> None:
        self.delivery = replace(self.delivery, checkpoint=json.loads(json.dumps(checkpoint)))
        self.is_in_doubt = is_in_doubt
