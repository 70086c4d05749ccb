"""One target's row in memory, with the fence and the clock of the virtual world.

What the statements of `services.queries.claims` and `.leases` do to a row, no more; `test_target.py` holds both
against each other. All that is decided (endings, retries, steps, doubts) is the product's own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from services.domain.accounts import Platform
from services.domain.ids import new_id
from services.domain.posts import Attempt, AttemptOutcome, Media, TargetStatus
from services.publishing.endings import Ending, Slot
from services.publishing.runs import Run
from services.queries.claims import Claim


def _fresh(due_at: datetime) -> SimpleNamespace:
    return SimpleNamespace(
        status=TargetStatus.SCHEDULED,
        next_attempt_at=due_at,
        attempt_count=0,
        failure_count=0,
        lease=0,
        lease_until=None,
        checkpoint={},
        step=None,
        step_began_at=None,
        step_shows=False,
        first_claimed_at=None,
    )


@dataclass
class Target:
    """The row, its ledger and its place in the quota."""

    platform: Platform
    caption: str
    sealed_token: bytes
    due_at: datetime
    lease_for: timedelta
    now: Callable[[], datetime]
    account_id: UUID
    media: tuple[Media, ...] = ()
    row: SimpleNamespace = field(init=False)
    ledger: list[Attempt] = field(default_factory=list)
    slot: str = "free"
    id: UUID = field(default_factory=new_id)

    def __post_init__(self) -> None:
        self.row = _fresh(self.due_at)

    @property
    def is_due(self) -> bool:
        """Whether a worker would claim it."""
        return self.row.next_attempt_at is not None and self.row.next_attempt_at <= self.now()

    def claim(self) -> Claim:
        """As `claim_targets`."""
        row = self.row
        row.attempt_count += row.status is not TargetStatus.PUBLISHING
        row.status = TargetStatus.PUBLISHING
        row.lease += 1
        row.lease_until = self.now() + self.lease_for
        row.first_claimed_at = row.first_claimed_at or self.now()
        row.next_attempt_at = None
        self.slot = "taken" if self.slot == "free" else self.slot
        return Claim(
            target_id=self.id,
            lease=row.lease,
            post_id=self.id,
            account_id=self.account_id,
            user_id=self.id,
            platform=self.platform,
            external_account_id="17841",
            sealed_token=self.sealed_token,
            caption=self.caption,
            link=None,
            media=self.media,
            options=None,
            scheduled_at=self.due_at,
            attempt=row.attempt_count,
            failures=row.failure_count,
            first_claimed_at=row.first_claimed_at,
            checkpoint=row.checkpoint,
            step=row.step,
            step_began_at=row.step_began_at,
            can_refresh=False,
            step_shows=row.step_shows,
        )

    def begin(self, run: Run) -> bool:
        """As `begin_step`."""
        if not self._is_held(run.claim):
            return False
        row, step = self.row, run.step
        row.checkpoint, row.step, row.step_shows = run.delivery.checkpoint, step.name, step.shows
        row.step_began_at, row.lease_until = self.now(), self.now() + self.lease_for
        self.ledger += run.unwritten
        return True

    def let_go(self, run: Run, ending: Ending) -> bool:
        """As `release_target`."""
        if not self._is_held(run.claim):
            return False
        vars(self.row).update({"lease": self.row.lease + 1, "lease_until": None, **ending.changes})
        self.row.attempt_count -= not ending.is_charged
        self.ledger += run.unwritten
        if ending.slot is not Slot.KEPT:
            self.slot = "ended" if ending.slot is Slot.ENDED else "free"
        return True

    def renew(self, claim: Claim) -> None:
        """As `renew_leases`."""
        if self._is_held(claim):
            self.row.lease_until = self.now() + self.lease_for

    def rescue(self) -> bool:
        """As `free_expired`, with its line in the ledger; whether there was anything to free."""
        row = self.row
        if row.lease_until is None or row.lease_until >= self.now():
            return False
        began = row.step_began_at or self.now()
        self.ledger.append(
            Attempt(
                new_id(), self.id, row.attempt_count, row.step or "claim", began, self.now(),
                AttemptOutcome.INTERRUPTED, None, None,
            )
        )  # fmt: skip
        row.lease, row.lease_until, row.next_attempt_at = row.lease + 1, None, self.now()
        row.step_began_at = self.now() if row.step_shows else row.step_began_at
        return True

    def cancel(self) -> bool:
        """As `cancel_post`: granted unless a worker holds it or it may be out."""
        row: Any = self.row
        if (
            row.lease_until is not None
            or row.step_shows
            or row.status
            in (
                TargetStatus.PUBLISHED,
                TargetStatus.UNCONFIRMED,
                TargetStatus.CANCELED,
            )
        ):
            return False
        row.status, row.next_attempt_at, row.checkpoint, row.step = TargetStatus.CANCELED, None, {}, None
        row.lease += 1
        self.slot = "free"
        return True

    def _is_held(self, claim: Claim) -> bool:
        return self.row.lease == claim.lease and self.row.lease_until is not None
