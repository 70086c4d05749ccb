"""What a person asks for when they write a post, and the rules it must keep before anything is stored.

Limits are the platforms' own, from their public documentation; what drifts can be set when `Rules` is built.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from services.domain.accounts import Account, Platform
from services.domain.errors import ErrorCode, UserError, refuse
from services.domain.options import (
    OPTIONS_OF,
    FacebookKind,
    FacebookOptions,
    InstagramKind,
    InstagramOptions,
    TargetOptions,
    YouTubeOptions,
)
from services.domain.posts import MediaKind
from services.domain.urls import is_web_url

LONGEST_AHEAD = timedelta(days=5 * 366)
MAX_TARGETS = 20
LONGEST_KEY = 255
"""Characters of an idempotency key."""

INCOMPLETE = frozenset({ErrorCode.MEDIA_REQUIRED, ErrorCode.CAPTION_REQUIRED, ErrorCode.TITLE_REQUIRED})
"""What a draft may still lack: its writer is not done. It is asked for when the post gets its time."""


@dataclass(frozen=True, slots=True)
class MediaDraft:
    """One medium: a public URL, or an upload of the person's own."""

    kind: MediaKind
    url: str | None = None
    upload_id: UUID | None = None
    alt_text: str | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """What is different for one account."""

    account_id: UUID
    caption: str | None = None
    options: TargetOptions | None = None


@dataclass(frozen=True, slots=True)
class PostDraft:
    """A post as its writer means it. `scheduled_at` None: a draft that goes nowhere yet."""

    caption: str
    account_ids: tuple[UUID, ...]
    scheduled_at: datetime | None
    link: str | None = None
    media: tuple[MediaDraft, ...] = ()
    variants: tuple[Variant, ...] = ()

    def variant_for(self, account_id: UUID) -> Variant:
        """What is different for this account, which may be nothing."""
        return next((v for v in self.variants if v.account_id == account_id), Variant(account_id))


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits a draft is held to, with the moment they are applied at."""

    now: datetime
    caption_limits: Mapping[Platform, int] = field(
        default_factory=lambda: {Platform.INSTAGRAM: 2_200, Platform.FACEBOOK: 63_206, Platform.YOUTUBE: 5_000}
    )
    instagram_hashtags: int = 30
    instagram_mentions: int = 20

    def check(self, draft: PostDraft, accounts: Mapping[UUID, Account]) -> list[UserError]:
        """Everything that is wrong with the draft, in the order of its fields; `accounts` are the person's own."""
        forgiven = INCOMPLETE if draft.scheduled_at is None else frozenset()
        return [error for error in self._find_errors(draft, accounts) if error.code not in forgiven]

    def check_time(self, scheduled_at: datetime | None) -> Iterator[UserError]:
        """A time must lie ahead, and not absurdly far."""
        if scheduled_at is None:
            return
        if scheduled_at <= self.now:
            yield UserError(ErrorCode.SCHEDULED_IN_PAST, f"{scheduled_at.isoformat()} is already over.", "scheduledAt")
        if scheduled_at > self.now + LONGEST_AHEAD:
            yield UserError(ErrorCode.VALIDATION_FAILED, "A post can be at most five years ahead.", "scheduledAt")

    def _find_errors(self, draft: PostDraft, accounts: Mapping[UUID, Account]) -> list[UserError]:
        return [
            *self._check_accounts(draft, accounts),
            *self.check_time(draft.scheduled_at),
            *_check_link(draft.link),
            *_check_media(draft.media),
            *_check_variants(draft),
            *(
                error
                for account_id in dict.fromkeys(draft.account_ids)
                if account_id in accounts
                for error in self._check_target(draft, accounts[account_id])
            ),
        ]

    def _check_accounts(self, draft: PostDraft, accounts: Mapping[UUID, Account]) -> Iterator[UserError]:
        if not draft.account_ids and draft.scheduled_at is not None:
            yield UserError(ErrorCode.ACCOUNT_REQUIRED, "Pick at least one account.", "accountIds")
        if len(draft.account_ids) > MAX_TARGETS:
            yield UserError(ErrorCode.VALIDATION_FAILED, f"At most {MAX_TARGETS} accounts.", "accountIds")
        seen: set[UUID] = set()
        for index, account_id in enumerate(draft.account_ids):
            where = f"accountIds.{index}"
            account = accounts.get(account_id)
            if account is None:
                yield UserError(ErrorCode.NOT_FOUND, "You have no such account.", where)
            elif account_id in seen:
                yield UserError(ErrorCode.VALIDATION_FAILED, "This account is named twice.", where)
            elif draft.scheduled_at is not None and not account.status.can_publish:
                yield UserError(ErrorCode.ACCOUNT_NOT_CONNECTED, f"{account.handle} must be connected again.", where)
            seen.add(account_id)

    def _check_target(self, draft: PostDraft, account: Account) -> Iterator[UserError]:
        variant = draft.variant_for(account.id)
        caption = draft.caption if variant.caption is None else variant.caption
        where = _caption_field(draft, variant)
        limit = self.caption_limits[account.platform]
        length = len(caption.encode()) if account.platform is Platform.YOUTUBE else len(caption)
        if length > limit:
            unit = "bytes" if account.platform is Platform.YOUTUBE else "characters"
            message = f"{account.platform.label} allows {limit} {unit}; this caption has {length}."
            yield UserError(ErrorCode.CAPTION_TOO_LONG, message, where)
        if variant.options is not None and not isinstance(variant.options, OPTIONS_OF[account.platform]):
            message = f"{account.handle} is on {account.platform.label}: these are another platform's choices."
            yield UserError(ErrorCode.VALIDATION_FAILED, message, f"variants.{draft.variants.index(variant)}")
        match account.platform:
            case Platform.INSTAGRAM:
                yield from self._check_instagram(draft, caption, variant.options, where)
            case Platform.FACEBOOK:
                yield from _check_facebook(draft, caption, variant.options)
            case Platform.YOUTUBE:
                yield from _check_youtube(draft, caption, variant.options, where)

    def _check_instagram(
        self, draft: PostDraft, caption: str, options: TargetOptions | None, where: str
    ) -> Iterator[UserError]:
        for sign, limit, name in (
            ("#", self.instagram_hashtags, "hashtags"),
            ("@", self.instagram_mentions, "mentions"),
        ):
            if len(re.findall(rf"(?<!\w){sign}\w", caption)) > limit:  # neither the `#` of C# nor the `@` of an address
                yield UserError(ErrorCode.VALIDATION_FAILED, f"Instagram allows {limit} {name}.", where)
        kinds = [medium.kind for medium in draft.media]
        kind = instagram_kind(options if isinstance(options, InstagramOptions) else None, kinds)
        yield from _check_count("Instagram", kinds, *_INSTAGRAM_COUNTS[kind])
        if kind is InstagramKind.REEL and kinds and kinds[0] is not MediaKind.VIDEO:
            yield UserError(ErrorCode.MEDIA_NOT_SUPPORTED, "An Instagram reel is a video.", "media.0.kind")


_INSTAGRAM_COUNTS = {
    InstagramKind.FEED: (1, 1),
    InstagramKind.REEL: (1, 1),
    InstagramKind.STORY: (1, 1),
    InstagramKind.CAROUSEL: (2, 10),
}


def instagram_kind(options: InstagramOptions | None, kinds: Sequence[MediaKind]) -> InstagramKind:
    """The shape of an Instagram post: as chosen, but several media make a carousel and a feed video is a reel."""
    kind = InstagramKind.FEED if options is None else options.kind
    if kind is not InstagramKind.FEED:
        return kind
    if len(kinds) > 1:
        return InstagramKind.CAROUSEL
    return InstagramKind.REEL if list(kinds) == [MediaKind.VIDEO] else InstagramKind.FEED


def default_options(platform: Platform, kinds: Sequence[MediaKind], caption: str) -> TargetOptions:
    """What a person means who chose nothing; a YouTube title comes from the caption's first line."""
    match platform:
        case Platform.INSTAGRAM:
            return InstagramOptions(instagram_kind(None, kinds))
        case Platform.FACEBOOK:
            return FacebookOptions()
        case Platform.YOUTUBE:
            return YouTubeOptions(title=youtube_title(caption))


def youtube_title(caption: str) -> str:
    """The first line of a caption as a title: at most 100 characters, none of them `<` or `>`."""
    line = caption.strip().splitlines()[0] if caption.strip() else ""
    return line.replace("<", "").replace(">", "").strip()[:100]


def _check_facebook(draft: PostDraft, caption: str, options: TargetOptions | None) -> Iterator[UserError]:
    kinds = [medium.kind for medium in draft.media]
    is_reel = isinstance(options, FacebookOptions) and options.kind is FacebookKind.REEL
    if is_reel and kinds != [MediaKind.VIDEO]:
        yield UserError(ErrorCode.MEDIA_REQUIRED, "A Facebook reel is exactly one video.", "media")
    elif not kinds and not caption.strip() and not draft.link:
        yield UserError(ErrorCode.CAPTION_REQUIRED, "A Facebook post needs a caption, a link or media.", "caption")
    elif MediaKind.VIDEO in kinds and len(kinds) > 1:
        yield UserError(ErrorCode.MEDIA_NOT_SUPPORTED, "A Facebook post holds pictures or one video.", "media")
    yield from _check_count("Facebook", kinds, 0, 10)


def _check_youtube(draft: PostDraft, caption: str, options: TargetOptions | None, where: str) -> Iterator[UserError]:
    kinds = [medium.kind for medium in draft.media]
    yield from _check_count("YouTube", kinds, 1, 1)
    if kinds and kinds[0] is not MediaKind.VIDEO:
        yield UserError(ErrorCode.MEDIA_NOT_SUPPORTED, "YouTube takes videos alone.", "media.0.kind")
    title = options.title if isinstance(options, YouTubeOptions) else youtube_title(caption)
    if not title.strip():
        yield UserError(ErrorCode.TITLE_REQUIRED, "A YouTube video needs a title.", where)
    if len(title) > 100:
        yield UserError(ErrorCode.VALIDATION_FAILED, "YouTube allows 100 characters in a title.", "variants")
    if any(sign in title + caption for sign in "<>"):
        yield UserError(ErrorCode.VALIDATION_FAILED, "YouTube allows no < or > in title or description.", where)
    if isinstance(options, YouTubeOptions) and sum(len(tag) for tag in options.tags) > 500:
        yield UserError(ErrorCode.VALIDATION_FAILED, "YouTube allows 500 characters of tags.", "variants")


def _check_count(platform: str, kinds: Sequence[MediaKind], least: int, most: int) -> Iterator[UserError]:
    if len(kinds) < least:
        noun = "medium" if least == 1 else "media"
        yield UserError(ErrorCode.MEDIA_REQUIRED, f"{platform} needs at least {least} {noun} here.", "media")
    if len(kinds) > most:
        yield UserError(ErrorCode.TOO_MANY_MEDIA, f"{platform} takes at most {most} media here.", "media")


def check_key(key: str | None) -> None:
    """Raises VALIDATION_FAILED for an idempotency key that is empty or longer than anybody needs."""
    if key is not None and not 1 <= len(key) <= LONGEST_KEY:
        message = f"An idempotency key has 1 to {LONGEST_KEY} characters, not {len(key)}."
        raise refuse(ErrorCode.VALIDATION_FAILED, message, "idempotencyKey")


def _check_link(link: str | None) -> Iterator[UserError]:
    if link is not None and not is_web_url(link):
        yield UserError(ErrorCode.VALIDATION_FAILED, "The link must be an http or https URL.", "link")


def _check_media(media: Iterable[MediaDraft]) -> Iterator[UserError]:
    for index, medium in enumerate(media):
        if (medium.url is None) == (medium.upload_id is None):
            yield UserError(ErrorCode.VALIDATION_FAILED, "Give either a url or a mediaId.", f"media.{index}")
        elif medium.url is not None and not is_web_url(medium.url):
            yield UserError(ErrorCode.VALIDATION_FAILED, "The URL must be http or https.", f"media.{index}.url")


def _check_variants(draft: PostDraft) -> Iterator[UserError]:
    seen: set[UUID] = set()
    for index, variant in enumerate(draft.variants):
        if variant.account_id not in draft.account_ids or variant.account_id in seen:
            message = "A variant is for one of accountIds, each at most once."
            yield UserError(ErrorCode.VALIDATION_FAILED, message, f"variants.{index}.accountId")
        seen.add(variant.account_id)


def _caption_field(draft: PostDraft, variant: Variant) -> str:
    if variant.caption is None:
        return "caption"
    return f"variants.{draft.variants.index(variant)}.caption"
