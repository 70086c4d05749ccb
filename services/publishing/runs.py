"""One worker's way with one target: how far it has come, and the ledger lines not yet written."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.domain.errors import ErrorCode
from services.domain.ids import new_id
from services.domain.posts import Attempt, AttemptOutcome
from services.domain.publishing import Delivery, Step
from services.queries.claims import Claim

CLAIMED = Step("claim", shows=False)


class Run:
    """What the publisher knows between claiming a target and letting it go."""

    def __init__(self, claim: Claim, delivery: Delivery, *, began_at: datetime) -> None:
        self.claim = claim
        self.delivery = delivery
        self.step = CLAIMED
        self.began_at = began_at
        self.unwritten: list[Attempt] = []
        self.may_show = claim.step_shows
        """Whether people may see the post already, for all that is known."""

    @property
    def asking_since(self) -> datetime:
        """When the step began whose outcome is unknown."""
        return self.claim.step_began_at or self.began_at if self.claim.step_shows else self.began_at

    def begin(self, step: Step, at: datetime) -> None:
        """The next step starts."""
        self.step = step
        self.began_at = at
        self.may_show = self.may_show or step.shows

    def advance(self, checkpoint: Mapping[str, Any], outcome: AttemptOutcome, at: datetime) -> None:
        """The step is over and did not show the post; what follows starts from `checkpoint`."""
        self.note(outcome, at)
        self.delivery = replace(self.delivery, checkpoint=checkpoint)
        self.claim = replace(self.claim, checkpoint=checkpoint, step_shows=False)
        self.may_show = False

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
