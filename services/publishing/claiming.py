"""Taking work: what is due is claimed, deferred, blocked or missed, and all of it told, in one transaction."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.errors import ErrorCode
from services.domain.limits import LimitReached, Window
from services.domain.posts import TargetStatus
from services.guards.quotas import Quotas
from services.publishing.endings import ASK_PERSON, NO_WAIT
from services.publishing.watching import Watch
from services.queries.claims import Claim, claim_early, claim_targets, set_all_aside, set_aside
from services.queries.states import settle_posts
from services.queries.turns import DueTarget, Follower, lock_due, lock_followers

Windows = Callable[[DueTarget], Sequence[Window]]
"""The windows that bind one publication: the person's hour, and what else the platform grants."""

Changes = Mapping[str, Any]

Asides = Mapping[UUID, Changes]
"""New values of targets that are due and cannot go now."""

NOBODY: Mapping[UUID, int] = {}

SHARES = 4
"""Of a worker's room one person gets this part at most, so that nobody's burst holds up the others."""

BEHIND = "Earlier posts of this account go first."
NEXT = timedelta(microseconds=1)
"""Right after another: what waits behind it is due later than it, however little."""

HOLDS_UP = (ErrorCode.RATE_LIMITED, ErrorCode.RECONNECT_REQUIRED)
"""What holds one post of an account up holds up those behind it."""

FOLLOWERS = 200
"""So many are told at once that they wait behind another."""

TOKEN_WAIT = timedelta(seconds=5)
"""A refresh is due already; so soon it is looked for again."""


class Claimer:
    """Claims due targets for one worker, each with its slot in every window that binds it.

    Who goes first: of each account one post at a time, the earliest; of each person no more than a share of one worker,
    and where more is due than it has room for, those of whom it has nothing under way before those of whom it has;
    otherwise what has been due the longest. What a limit or a breaker put off, or a failure for a minute at most, keeps
    its place before what came later.
    """

    def __init__(
        self,
        *,
        transactions: DatabaseTransactionService,
        quotas: Quotas,
        windows: Windows,
        now: Callable[[], datetime],
        lease_for: timedelta,
        missed_after: timedelta,
        room: int,
        watch: Watch | None = None,
    ) -> None:
        """`room`: how many targets one worker may have under way."""
        self._transactions = transactions
        self._quotas = quotas
        self._windows = windows
        self._now = now
        self._lease_for = lease_for
        self._missed_after = missed_after
        self._share = max(1, room // SHARES)
        self._is_crowded = False
        """Whether the last claim took all that there was room for: perhaps not all that was due."""
        self._watch = watch

    def served(self, busy: Mapping[UUID, int]) -> list[UUID]:
        """Who has their share already, of the people for whom a worker has so many targets under way."""
        return [user for user, count in busy.items() if count >= self._share]

    async def claim_due(self, worker_id: UUID, *, limit: int, busy: Mapping[UUID, int] = NOBODY) -> list[Claim]:
        """Up to `limit` targets that this worker now holds, beside those that it has under way for `busy`."""
        due: list[DueTarget] = []
        full: Asides = {}

        async def claim(tx: Transaction) -> list[Claim]:
            nonlocal due, full
            c = tx.connection
            due, full = await self._lock_in_turn(c, limit, busy), {}
            if not due:
                return []

            unfit = await self._set_unfit_aside(c, due)
            full = await self._set_full_aside(c, [target for target in due if target.id not in unfit])
            ready = [target for target in due if target.id not in unfit and target.id not in full]
            claims = await self._take(c, ready, worker_id)
            followers = await self._set_followers_aside(c, due, {**unfit, **full})

            changed = {target.post_id for target in due} | {follower.post_id for follower in followers}
            for _, event in await settle_posts(c, changed):
                await tx.emit(event)
            return claims

        claims = await self._transactions.execute_in_transaction(claim)
        self._tell(due, full)
        return claims

    async def claim_early(self, worker_id: UUID, *, limit: int, busy: Mapping[UUID, int] = NOBODY) -> list[Claim]:
        """Up to `limit` targets whose slow work may begin, held by this worker for that, beside what it prepares for
        `busy`. No slot of any window is taken: that belongs to the step that shows the post, and so to its own time."""

        async def claim(tx: Transaction) -> list[Claim]:
            claims: list[Claim] = []
            counts = Counter(busy)
            while len(claims) < limit:
                found = await claim_early(
                    tx.connection,
                    worker_id=worker_id,
                    lease_for=self._lease_for,
                    limit=min(limit - len(claims), self._share),
                    without_users=self.served(counts),
                )
                if not found:
                    break
                claims += found
                counts.update(claim.user_id for claim in found)
            return claims

        return await self._transactions.execute_in_transaction(claim)

    async def _lock_in_turn(self, c: AsyncConnection, limit: int, busy: Mapping[UUID, int]) -> list[DueTarget]:
        """The oldest first, but one of each account and a share of each person; who is passed over makes room for
        others, as long as any are due. Bursts of many people may fill a worker: what ends of them is then followed by
        somebody else's, and by their own only where nobody else is waiting."""
        chosen: dict[UUID, DueTarget] = {}
        counts = Counter(busy)
        for waiting in (busy, NOBODY) if self._is_crowded and busy else (NOBODY,):
            while len(chosen) < limit:
                asked = limit - len(chosen)
                passed_over = {*waiting, *self.served(counts)}
                found = await lock_due(c, limit=asked, without_users=passed_over, without_accounts=chosen)
                for target in found:
                    if target.account_id not in chosen and counts[target.user_id] < self._share:
                        chosen[target.account_id] = target
                        counts[target.user_id] += 1
                if len(found) < asked:
                    break
        self._is_crowded = len(chosen) == limit
        return list(chosen.values())

    async def _take(self, c: AsyncConnection, ready: Sequence[DueTarget], worker_id: UUID) -> list[Claim]:
        ids = [target.id for target in ready]
        claims = await claim_targets(c, ids, worker_id=worker_id, lease_for=self._lease_for)
        outrun = set(ids).difference(claim.target_id for claim in claims)
        if outrun:
            await self._quotas.give_back(c, [target_id.hex for target_id in outrun])
        return claims

    async def _set_unfit_aside(self, c: AsyncConnection, due: Sequence[DueTarget]) -> Asides:
        """What must not go out now, whatever the quotas say; a slot of what was never sent is free again."""
        aside = {target.id: changes for target in due if (changes := self._judge(target)) is not None}
        await set_aside(c, aside)
        sent = {target.id for target in due if target.is_in_doubt}
        if aside:
            await self._quotas.end(c, [target_id.hex for target_id in aside.keys() & sent])
            await self._quotas.give_back(c, [target_id.hex for target_id in aside.keys() - sent])
        return aside

    async def _set_full_aside(self, c: AsyncConnection, ready: Sequence[DueTarget]) -> Asides:
        """What finds no slot in one of its windows waits until there is one."""
        refused = await self._quotas.take_many(c, [(target.id.hex, self._windows(target)) for target in ready])
        aside = {target.id: _full(refused[target.id.hex]) for target in ready if target.id.hex in refused}
        await set_aside(c, aside)
        return aside

    async def _set_followers_aside(self, c: AsyncConnection, due: Sequence[DueTarget], aside: Asides) -> list[Follower]:
        """What is due of the same accounts behind what was set aside waits with it, in order: to look at each post of a
        long burst by itself would take all workers' time from everybody else's."""
        leaders = {target.account_id: aside[target.id] for target in due if target.id in aside}
        held_up = {account: changes for account, changes in leaders.items() if changes["waiting_code"] in HOLDS_UP}
        if not held_up:
            return []
        found = await lock_followers(c, held_up, due_for=self._missed_after, limit=FOLLOWERS)
        blocked: dict[UUID, datetime | None] = {}
        behind: dict[UUID, datetime | None] = {}
        for place, follower in enumerate(found, 1):
            until = held_up[follower.account_id]["waiting_until"]
            (blocked if until is None else behind)[follower.id] = None if until is None else until + place * NEXT
        await set_all_aside(c, blocked, BLOCKED)
        await set_all_aside(c, behind, BEHIND_OTHERS)
        return found

    def _tell(self, due: Sequence[DueTarget], full: Collection[UUID]) -> None:
        if self._watch is None:
            return
        for target in due:
            self._watch.note_looked_at(target.platform, target.late_by)
            if target.id in full:
                self._watch.note_refused(target.platform)

    def _judge(self, target: DueTarget) -> Changes | None:
        """New values for a target that must not be claimed; None for one that may."""
        if target.is_in_doubt:
            return None if target.has_token else UNANSWERABLE
        if not target.account_can_publish:
            return BLOCKED
        if target.awaits_token:
            return _deferral(ErrorCode.UNAVAILABLE, "The account's token is being renewed.", self._now() + TOKEN_WAIT)
        if not target.was_begun and self._now() - target.due_at > self._missed_after:
            return MISSED
        if target.waits_behind is not None:
            return _deferral(ErrorCode.RATE_LIMITED, BEHIND, target.waits_behind + NEXT)
        return None


BLOCKED: Changes = {
    "status": TargetStatus.BLOCKED,
    "next_attempt_at": None,
    "waiting_code": ErrorCode.RECONNECT_REQUIRED,
    "waiting_message": "The account has to be connected again first.",
    "waiting_until": None,
}
MISSED: Changes = {
    **NO_WAIT,
    "status": TargetStatus.MISSED,
    "next_attempt_at": None,
    "error_code": ErrorCode.MISSED,
    "error_message": "Its time passed while nothing could be sent; send it again or choose another time.",
    "error_retryable": True,
}
UNANSWERABLE: Changes = {
    **NO_WAIT,
    "status": TargetStatus.UNCONFIRMED,
    "next_attempt_at": None,
    "step_shows": False,
    "error_code": ErrorCode.OUTCOME_UNKNOWN,
    "error_message": f"The account was disconnected before the platform could be asked about the post. {ASK_PERSON}",
    "error_retryable": True,
}


BEHIND_OTHERS: Changes = {"waiting_code": ErrorCode.RATE_LIMITED, "waiting_message": BEHIND}


def _full(limit: LimitReached) -> Changes:
    return _deferral(ErrorCode.RATE_LIMITED, limit.as_error().message, limit.free_at)


def _deferral(code: ErrorCode, message: str, until: datetime) -> Changes:
    return {"next_attempt_at": until, "waiting_code": code, "waiting_message": message, "waiting_until": until}
