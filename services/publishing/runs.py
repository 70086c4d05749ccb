"""One worker's way with one target: how far it has come, and the ledger lines not yet written."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.domain.errors import ErrorCode
from services.domain.ids import new_id
from services.domain.posts import Attempt, AttemptOutcome
from services.domain.publishing import Checkpoint, Delivery, Step, beyond
from services.queries.claims import Claim

CLAIMED = Step("claim", shows=False)
FIND_OUT = Step("find_out", shows=False)


class Run:
    """What the publisher knows between claiming a target and letting it go. `claim.step_shows` is the doubt: whether a
    step before this one may have shown the post."""

    def __init__(self, claim: Claim, delivery: Delivery, *, began_at: datetime) -> None:
        self.claim = claim
        self.delivery = delivery
        self.step = CLAIMED
        self.began_at = began_at
        self.unwritten: list[Attempt] = []
        self.saved: Checkpoint = claim.checkpoint
        """The last checkpoint that was stored, or may have been."""

    @property
    def may_show(self) -> bool:
        """Whether people may see the post already, for all that is known."""
        return self.claim.step_shows or self.step.shows

    @property
    def decided(self) -> Claim:
        """The claim as far as this run has come, once it is certain that the post is not out."""
        return replace(self.claim, checkpoint=self.delivery.checkpoint, step_shows=False)

    @property
    def asking_since(self) -> datetime | None:
        """When the doubt began; None where there has been none so far."""
        return self.claim.step_began_at or self.began_at if self.claim.step_shows else None

    @property
    def unsaved(self) -> Checkpoint:
        """What this run has made at the platform and nobody else knows of."""
        return beyond(self.delivery.checkpoint, self.saved)

    def begin(self, step: Step, at: datetime) -> None:
        """The next step starts."""
        self.step = step
        self.began_at = at

    def advance(self, checkpoint: Mapping[str, Any], at: datetime) -> None:
        """The step is over and did not show the post; what follows starts from `checkpoint`."""
        self.note(AttemptOutcome.SUCCEEDED, at)
        self.delivery = replace(self.delivery, checkpoint=checkpoint)
        self.claim = replace(self.claim, step_shows=False)

    def wait(self, checkpoint: Mapping[str, Any], at: datetime) -> None:
        """The platform is still at work; a step that may have shown the post leaves that open."""
        self.note(AttemptOutcome.WAITING, at)
        self.delivery = replace(self.delivery, checkpoint=checkpoint)
        self.claim = replace(self.claim, step_shows=self.may_show, step_began_at=self.asking_since or self.began_at)

    def note(
        self, outcome: AttemptOutcome, at: datetime, code: ErrorCode | None = None, message: str | None = None
    ) -> None:
        """A ledger line for the step that ended."""
        self.unwritten.append(
            Attempt(
                id=new_id(),
                target_id=self.claim.target_id,
                number=self.claim.attempt,
                step=self.step.name,
                started_at=self.began_at,
                ended_at=at,
                outcome=outcome,
                code=code,
                message=message,
            )
        )
