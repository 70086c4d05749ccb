"""From what a person wrote to the rows it becomes: checks against the rules, then targets and media."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.accounts import Account
from services.domain.drafts import MediaDraft, PostDraft, Rules, default_options
from services.domain.edits import due_status
from services.domain.errors import ErrorCode, Refused, UserError
from services.domain.ids import new_id
from services.domain.media_limits import MEDIA_LIMITS, shape_of
from services.domain.posts import Media, PostTarget
from services.domain.uploads import Upload
from services.queries.accounts import find_accounts
from services.queries.uploads import find_uploads


@dataclass(frozen=True, slots=True)
class Composition:
    """A draft that keeps the rules, with the person's accounts and uploads that it names."""

    draft: PostDraft
    accounts: Mapping[UUID, Account]
    uploads: Mapping[UUID, Upload]


class Composer:
    """Checks drafts and turns them into targets and media."""

    def __init__(
        self, *, rules: Callable[[], Rules], media_url: Callable[[Upload], str], prepare_ahead: timedelta
    ) -> None:
        """`prepare_ahead`: how long before its time the slow work of a post may begin."""
        self._rules = rules
        self._media_url = media_url
        self._prepare_ahead = prepare_ahead

    async def compose(
        self, c: AsyncConnection, owner: UUID, draft: PostDraft, *, keeps_time: bool = False
    ) -> Composition:
        """The draft with what it names; raises `Refused` with everything that is wrong with it.

        `keeps_time`: the time is not new, so it may lie in the past.
        """
        accounts = await find_accounts(c, draft.account_ids, owner=owner) if draft.account_ids else {}
        wanted = [medium.upload_id for medium in draft.media if medium.upload_id is not None]
        uploads = await find_uploads(c, wanted, owner=owner) if wanted else {}

        errors = [
            *self._rules().check(draft, accounts),
            *_check_uploads(draft, uploads, list(accounts.values())),
        ]
        if keeps_time:
            errors = [error for error in errors if error.code is not ErrorCode.SCHEDULED_IN_PAST]
        if errors:
            raise Refused(errors)

        return Composition(draft, accounts, uploads)

    def check_time(self, scheduled_at: datetime) -> None:
        """Raises `Refused` for a time that is over or too far ahead."""
        errors = list(self._rules().check_time(scheduled_at))
        if errors:
            raise Refused(errors)

    def prepare_at(self, draft: PostDraft) -> datetime | None:
        """When the slow work of the draft's targets may begin; None where there is none: only media take time."""
        if draft.scheduled_at is None or not draft.media or not self._prepare_ahead:
            return None
        return draft.scheduled_at - self._prepare_ahead

    def targets(self, post_id: UUID, composition: Composition) -> list[PostTarget]:
        """One new target per account, in the order in which the accounts were picked."""
        return [
            self._target(post_id, composition.accounts[account_id], composition.draft)
            for account_id in composition.draft.account_ids
        ]

    def media(self, post_id: UUID, composition: Composition) -> list[Media]:
        """The post's media; an upload brings its address and what was measured of it."""
        return [
            self._linked(post_id, position, medium)
            if medium.upload_id is None
            else self._uploaded(post_id, position, medium, composition.uploads[medium.upload_id])
            for position, medium in enumerate(composition.draft.media)
        ]

    def _linked(self, post_id: UUID, position: int, medium: MediaDraft) -> Media:
        return Media(new_id(), post_id, medium.kind, medium.url or "", position, alt_text=medium.alt_text)

    def _uploaded(self, post_id: UUID, position: int, medium: MediaDraft, upload: Upload) -> Media:
        return Media(
            id=new_id(),
            post_id=post_id,
            kind=upload.kind,
            url=self._media_url(upload),
            position=position,
            alt_text=medium.alt_text,
            width=upload.width,
            height=upload.height,
            duration_seconds=upload.duration_seconds,
            upload_id=upload.id,
        )

    def _target(self, post_id: UUID, account: Account, draft: PostDraft) -> PostTarget:
        variant = draft.variant_for(account.id)
        caption = draft.caption if variant.caption is None else variant.caption
        kinds = [medium.kind for medium in draft.media]
        return PostTarget(
            id=new_id(),
            post_id=post_id,
            account_id=account.id,
            platform=account.platform,
            status=due_status(draft.scheduled_at),
            caption=variant.caption,
            options=variant.options or default_options(account.platform, kinds, caption),
            attempt_count=0,
            next_attempt_at=draft.scheduled_at,
            waiting_for=None,
            last_error=None,
            platform_post_id=None,
            permalink=None,
            published_at=None,
        )


def _check_uploads(
    draft: PostDraft, uploads: Mapping[UUID, Upload], accounts: Collection[Account]
) -> Iterator[UserError]:
    """An upload is the person's own, is what the draft says it is, and is such as every account's platform takes."""
    for index, medium in enumerate(draft.media):
        if medium.upload_id is None:
            continue
        upload = uploads.get(medium.upload_id)
        if upload is None:
            yield UserError(ErrorCode.NOT_FOUND, "You have no such upload.", f"media.{index}.mediaId")
            continue
        if upload.kind is not medium.kind:
            message = f"This upload is of kind {upload.kind}, not {medium.kind}."
            yield UserError(ErrorCode.MEDIA_NOT_SUPPORTED, message, f"media.{index}.kind")
            continue
        for code, message in _find_misfits(draft, upload, accounts):
            yield UserError(code, message, f"media.{index}.mediaId")


def _find_misfits(draft: PostDraft, upload: Upload, accounts: Collection[Account]) -> Iterator[tuple[ErrorCode, str]]:
    """Where the upload is of a type, or of a measure, that a platform does not take: once for each, not per account."""
    kinds = [medium.kind for medium in draft.media]
    for platform in sorted({account.platform for account in accounts}):
        if not upload.type.is_taken_by(platform):
            yield ErrorCode.MEDIA_NOT_SUPPORTED, f"{platform.label} takes no {upload.type.value}."
    shapes = {
        shape_of(account.platform, draft.variant_for(account.id).options, kinds, upload.kind) for account in accounts
    }
    for shape in sorted(shape for shape in shapes if shape is not None):
        for fault in MEDIA_LIMITS[shape].find_faults(upload):
            yield ErrorCode.VALIDATION_FAILED, f"{shape} {fault}."
