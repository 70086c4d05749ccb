"""What an edit does to the targets of a post that is there already; its post is locked, and nothing of it has left."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.edits import EDITABLE, due_status, targets_in
from services.domain.errors import ErrorCode, refuse
from services.domain.posts import PostState, PostTarget, TargetStatus
from services.guards.quotas import Quotas
from services.posts.composing import Composer, Composition
from services.queries import drafting
from services.queries.leases import find_held, insert_attempts, interruption_of
from services.queries.leftovers import leave_prepared

CHANGED = "The post was changed while it was being prepared; nothing of it was shown."


class Rewriter:
    """Gives targets new content, another time or another state; what workers have prepared of them is discarded here at
    once, and at the platform as soon as it lets itself be taken away."""

    def __init__(self, *, composer: Composer, quotas: Quotas) -> None:
        self._composer = composer
        self._quotas = quotas

    async def rewrite_targets(
        self, c: AsyncConnection, state: PostState, composition: Composition, *, keeps_time: bool
    ) -> None:
        """Targets of accounts no longer picked go, new ones come, the others take on their new content and time."""
        draft = composition.draft
        await self._drop_targets(c, [target for target in state.targets if target.account_id not in draft.account_ids])

        present = {target.account_id: target for target in state.targets}
        wanted = self._composer.targets(state.post.id, composition)
        prepare_at = self._composer.prepare_at(draft)
        new = [target for target in wanted if target.account_id not in present]
        await drafting.insert_targets(c, state.post, new, prepare_at=prepare_at)
        await drafting.order_targets(c, state.post.id, draft.account_ids)

        editable = [target for target in targets_in(state, EDITABLE) if target.account_id in draft.account_ids]
        content = {target.account_id: (target.caption, target.options) for target in wanted}
        await drafting.update_variants(c, {target.id: content[target.account_id] for target in editable})
        if keeps_time:
            await leave_prepared(c, [target.id for target in editable])
            await self._interrupt(c, editable)
            await drafting.prepare_anew(c, [target.id for target in editable], prepare_at=prepare_at)
            return
        due = {"status": due_status(draft.scheduled_at), "next_attempt_at": draft.scheduled_at, "failure_count": 0}
        await self.discard(c, editable, **due, prepare_at=prepare_at)
        await drafting.move_targets(c, state.post.id, draft.scheduled_at)

    async def discard(self, c: AsyncConnection, targets: Sequence[PostTarget], **values: Any) -> None:
        """Forget what is on its way, and set `values`."""
        await self.give_back(c, targets)
        await leave_prepared(c, [target.id for target in targets])
        await self._interrupt(c, targets)
        await drafting.update_targets(c, [target.id for target in targets], **{**drafting.UNPREPARED, **values})

    async def send_again(self, c: AsyncConnection, targets: Sequence[PostTarget], *, at: datetime) -> None:
        """From the beginning, with all tries."""
        again = {"status": TargetStatus.RETRYING, "next_attempt_at": at, "failure_count": 0}
        await self.discard(c, targets, **again)
        await drafting.wake_workers(c)

    async def forget(self, c: AsyncConnection, targets: Sequence[PostTarget]) -> None:
        """These targets are about to be deleted."""
        await self.give_back(c, targets)
        await leave_prepared(c, [target.id for target in targets])

    async def give_back(self, c: AsyncConnection, targets: Iterable[PostTarget]) -> None:
        """The places in the quotas of targets that workers have begun, and that never left, are free again."""
        begun = [target.id.hex for target in targets if target.status is TargetStatus.PUBLISHING]
        if begun:
            await self._quotas.give_back(c, begun)

    async def _interrupt(self, c: AsyncConnection, targets: Sequence[PostTarget]) -> None:
        """Whoever prepares one of them writes nothing any more: what he may have done there is said here."""
        ids = [target.id for target in targets if target.status is TargetStatus.SCHEDULED]
        if ids:
            await insert_attempts(c, [interruption_of(held, CHANGED) for held in await find_held(c, ids)])

    async def _drop_targets(self, c: AsyncConnection, gone: Sequence[PostTarget]) -> None:
        if any(target.status not in EDITABLE for target in gone):
            raise refuse(
                ErrorCode.NOT_POSSIBLE_NOW, "An account cannot be left out once it is out there.", "accountIds"
            )
        await self.forget(c, gone)
        await drafting.delete_targets(c, [target.id for target in gone])
