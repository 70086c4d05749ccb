"""From what clients write to what the domain reads: ids to keys, inputs to drafts, changes and filters.

An id that names nothing becomes a key that names nothing, so that malformed, unknown and somebody else's look alike all
the way down: a list is empty, a mutation refuses with NOT_FOUND under the name of the field.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar
from uuid import UUID

from strawberry import ID, Some

from resolvers.context import NOBODY
from schema import filters, inputs
from schema.texts import check_texts
from services.domain.accounts import AccountFilter
from services.domain.changes import UNSET, FailedFilter, PostChanges, Unset
from services.domain.drafts import MediaDraft, PostDraft, Variant, youtube_title
from services.domain.errors import ErrorCode, Refused, UserError, refuse
from services.domain.ids import Kind, decode_id_of
from services.domain.options import FacebookOptions, InstagramOptions, TargetOptions, YouTubeOptions
from services.domain.posts import PostFilter
from services.domain.viewers import UserFilter

T = TypeVar("T")


def read_id(kind: Kind, text: str) -> UUID:
    """The key behind an id; for anything that is no id of this kind, one that nothing has."""
    return decode_id_of(kind, text) or NOBODY


def read_post_filter(given: filters.PostFilter | None) -> PostFilter:
    """Without `userId`, which says whose list it is. Raises Refused for a search that no caption can match."""
    if given is None:
        return PostFilter()
    check_texts(given)
    return PostFilter(
        statuses=_tuple(given.statuses),
        platforms=_tuple(given.platforms),
        account_ids=None if given.account_ids is None else _account_ids(given.account_ids),
        scheduled_from=given.scheduled_from,
        scheduled_to=given.scheduled_to,
        search=given.search,
    )


def read_account_filter(given: filters.AccountFilter | None) -> AccountFilter:
    """Without `userId`, which says whose list it is."""
    if given is None:
        return AccountFilter()
    return AccountFilter(platforms=_tuple(given.platforms), statuses=_tuple(given.statuses))


def read_failed_filter(given: filters.FailedFilter) -> FailedFilter:
    """All of it."""
    return FailedFilter(
        platforms=_tuple(given.platforms),
        codes=_tuple(given.codes),
        user_id=None if given.user_id is None else read_id(Kind.USER, given.user_id),
        failed_since=given.failed_since,
    )


def read_user_filter(given: filters.UserFilter | None) -> UserFilter:
    """All of it. Raises Refused for a search that no name can match."""
    if given is None:
        return UserFilter()
    check_texts(given)
    return UserFilter(role=given.role, search=given.search)


def read_draft(given: inputs.SchedulePostInput | inputs.CreateDraftInput) -> PostDraft:
    """A new post; raises Refused for variants with the choices of several platforms."""
    return PostDraft(
        caption=given.caption,
        account_ids=_account_ids(given.account_ids),
        scheduled_at=given.scheduled_at if isinstance(given, inputs.SchedulePostInput) else None,
        link=given.link,
        media=_media(given.media),
        variants=_variants(given.variants, given.caption),
    )


def read_changes(given: inputs.UpdatePostInput) -> PostChanges:
    """An edit; raises Refused like `read_draft`."""
    caption = _required(given.caption, "caption")
    account_ids = _required(given.account_ids, "accountIds")
    media = _required(given.media, "media")
    variants = _required(given.variants, "variants")
    return PostChanges(
        caption=caption,
        link=UNSET if given.link is None else given.link.value,
        account_ids=UNSET if account_ids is UNSET else _account_ids(account_ids),
        scheduled_at=UNSET if given.scheduled_at is None else given.scheduled_at.value,
        media=UNSET if media is UNSET else _media(media),
        variants=UNSET if variants is UNSET else _variants(variants, "" if caption is UNSET else caption),
    )


def _required(value: Some[T | None] | None, field: str) -> T | Unset:
    """What was mentioned of what a post always has."""
    if value is None:
        return UNSET
    if value.value is None:
        raise refuse(ErrorCode.VALIDATION_FAILED, "This can be left out or changed, but not taken away.", field)
    return value.value


def _tuple(values: Iterable[T] | None) -> tuple[T, ...] | None:
    return None if values is None else tuple(values)


def _account_ids(ids: Iterable[ID]) -> tuple[UUID, ...]:
    return tuple(read_id(Kind.ACCOUNT, text) for text in ids)


def _media(media: Iterable[inputs.MediaInput]) -> tuple[MediaDraft, ...]:
    return tuple(
        MediaDraft(
            kind=medium.kind,
            url=medium.url,
            upload_id=None if medium.media_id is None else read_id(Kind.UPLOAD, medium.media_id),
            alt_text=medium.alt_text,
        )
        for medium in media
    )


def _variants(variants: Sequence[inputs.VariantInput], caption: str) -> tuple[Variant, ...]:
    """`caption`: the post's own, of which a video without a title takes its first line."""
    ambiguous = [
        UserError(ErrorCode.VALIDATION_FAILED, "Give the choices of one platform: the account's.", f"variants.{index}")
        for index, variant in enumerate(variants)
        if len([chosen for chosen in (variant.instagram, variant.facebook, variant.youtube) if chosen is not None]) > 1
    ]
    if ambiguous:
        raise Refused(ambiguous)
    return tuple(
        Variant(read_id(Kind.ACCOUNT, variant.account_id), variant.caption, _options(variant, caption))
        for variant in variants
    )


def _options(variant: inputs.VariantInput, caption: str) -> TargetOptions | None:
    if variant.instagram is not None:
        return InstagramOptions(variant.instagram.kind, variant.instagram.share_to_feed)
    if variant.facebook is not None:
        return FacebookOptions(variant.facebook.kind)
    if variant.youtube is None:
        return None
    title = variant.youtube.title
    return YouTubeOptions(
        title=youtube_title(caption if variant.caption is None else variant.caption) if title is None else title,
        privacy=variant.youtube.privacy,
        tags=tuple(variant.youtube.tags),
        category_id=variant.youtube.category_id,
        made_for_kids=variant.youtube.made_for_kids,
    )
