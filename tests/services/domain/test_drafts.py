"""The rules a draft must keep."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.accounts import Account, AccountStatus, Platform
from services.domain.drafts import MediaDraft, PostDraft, Rules, Variant, check_key, youtube_title
from services.domain.errors import ErrorCode, Refused
from services.domain.options import InstagramKind, InstagramOptions, YouTubeOptions
from services.domain.posts import MediaKind

NOW = datetime(2030, 1, 1, tzinfo=UTC)
IMAGE = MediaDraft(MediaKind.IMAGE, "https://example.com/a.jpg")
VIDEO = MediaDraft(MediaKind.VIDEO, "https://example.com/a.mp4")


def an_account(platform: Platform, *, number: int = 1, status: AccountStatus = AccountStatus.CONNECTED) -> Account:
    """An account of the person who writes."""
    key = UUID(int=number)
    return Account(key, UUID(int=99), platform, "x", "@x", "X", None, status, None, NOW, NOW)


def errors_of(account: Account | None = None, **changes: Any) -> list[tuple[ErrorCode, str | None]]:
    """The codes and fields of what is wrong with a draft for one account."""
    account = account or an_account(Platform.FACEBOOK)
    values: dict[str, Any] = {
        "caption": "Hello",
        "account_ids": (account.id,),
        "scheduled_at": NOW + timedelta(hours=1),
        **changes,
    }
    return [(e.code, e.field) for e in Rules(now=NOW).check(PostDraft(**values), {account.id: account})]


def test_a_plain_post_keeps_the_rules() -> None:
    """Text for a Page, in an hour."""
    assert errors_of() == []


@pytest.mark.parametrize(
    ("platform", "changes", "expected"),
    [
        (Platform.INSTAGRAM, {}, (ErrorCode.MEDIA_REQUIRED, "media")),
        (Platform.INSTAGRAM, {"media": (IMAGE,)}, None),
        (Platform.INSTAGRAM, {"media": (VIDEO,)}, None),
        (Platform.INSTAGRAM, {"media": (IMAGE,) * 10}, None),
        (Platform.INSTAGRAM, {"media": (IMAGE,) * 11}, (ErrorCode.TOO_MANY_MEDIA, "media")),
        (Platform.INSTAGRAM, {"media": (IMAGE,), "caption": "x" * 2_201}, (ErrorCode.CAPTION_TOO_LONG, "caption")),
        (Platform.INSTAGRAM, {"media": (IMAGE,), "caption": "#a " * 31}, (ErrorCode.VALIDATION_FAILED, "caption")),
        (Platform.FACEBOOK, {"caption": ""}, (ErrorCode.CAPTION_REQUIRED, "caption")),
        (Platform.FACEBOOK, {"caption": "", "link": "https://example.com"}, None),
        (Platform.FACEBOOK, {"media": (IMAGE, VIDEO)}, (ErrorCode.MEDIA_NOT_SUPPORTED, "media")),
        (Platform.FACEBOOK, {"link": "javascript:alert(1)"}, (ErrorCode.VALIDATION_FAILED, "link")),
        (Platform.YOUTUBE, {}, (ErrorCode.MEDIA_REQUIRED, "media")),
        (Platform.YOUTUBE, {"media": (VIDEO,)}, None),
        (Platform.YOUTUBE, {"media": (IMAGE,)}, (ErrorCode.MEDIA_NOT_SUPPORTED, "media.0.kind")),
        (Platform.YOUTUBE, {"media": (VIDEO,), "caption": ""}, (ErrorCode.TITLE_REQUIRED, "caption")),
        (Platform.YOUTUBE, {"media": (VIDEO,), "caption": "ü" * 2_501}, (ErrorCode.CAPTION_TOO_LONG, "caption")),
        (Platform.YOUTUBE, {"media": (VIDEO,), "caption": "a < b"}, (ErrorCode.VALIDATION_FAILED, "caption")),
        (Platform.FACEBOOK, {"account_ids": ()}, (ErrorCode.ACCOUNT_REQUIRED, "accountIds")),
        (Platform.FACEBOOK, {"account_ids": (UUID(int=5),)}, (ErrorCode.NOT_FOUND, "accountIds.0")),
        (Platform.FACEBOOK, {"account_ids": (UUID(int=1),) * 2}, (ErrorCode.VALIDATION_FAILED, "accountIds.1")),
        (Platform.FACEBOOK, {"scheduled_at": NOW}, (ErrorCode.SCHEDULED_IN_PAST, "scheduledAt")),
        (
            Platform.FACEBOOK,
            {"scheduled_at": NOW + timedelta(days=3_000)},
            (ErrorCode.VALIDATION_FAILED, "scheduledAt"),
        ),
        (
            Platform.FACEBOOK,
            {"media": (MediaDraft(MediaKind.IMAGE),)},
            (ErrorCode.VALIDATION_FAILED, "media.0"),
        ),
        (
            Platform.FACEBOOK,
            {"media": (MediaDraft(MediaKind.IMAGE, "ftp://example.com/a.jpg"),)},
            (ErrorCode.VALIDATION_FAILED, "media.0.url"),
        ),
        (
            Platform.FACEBOOK,
            {"variants": (Variant(UUID(int=7), "hi"),)},
            (ErrorCode.VALIDATION_FAILED, "variants.0.accountId"),
        ),
    ],
)
def test_each_rule_names_its_code_and_field(
    platform: Platform, changes: dict[str, Any], expected: tuple[ErrorCode, str] | None
) -> None:
    """One thing wrong, one error; nothing wrong, none."""
    assert errors_of(an_account(platform), **changes) == ([] if expected is None else [expected])


def test_a_reel_is_a_video() -> None:
    """Whatever else the options say."""
    account = an_account(Platform.INSTAGRAM)
    variants = (Variant(account.id, options=InstagramOptions(InstagramKind.REEL)),)
    assert errors_of(account, media=(IMAGE,), variants=variants) == [(ErrorCode.MEDIA_NOT_SUPPORTED, "media.0.kind")]


def test_a_variants_caption_is_what_counts() -> None:
    """The post's own caption may be too long for a platform that says something else."""
    account = an_account(Platform.INSTAGRAM)
    short, long = (Variant(account.id, "short"),), (Variant(account.id, "x" * 3_000),)
    assert errors_of(account, media=(IMAGE,), caption="x" * 3_000, variants=short) == []
    assert errors_of(account, media=(IMAGE,), variants=long) == [(ErrorCode.CAPTION_TOO_LONG, "variants.0.caption")]


@pytest.mark.parametrize("status", [AccountStatus.EXPIRED, AccountStatus.REVOKED, AccountStatus.DISCONNECTED])
def test_an_account_that_cannot_publish_is_refused_for_a_time_but_not_for_a_draft(status: AccountStatus) -> None:
    """A draft may wait for the account to be connected again."""
    account = an_account(Platform.FACEBOOK, status=status)
    assert errors_of(account) == [(ErrorCode.ACCOUNT_NOT_CONNECTED, "accountIds.0")]
    assert errors_of(account, scheduled_at=None) == []


@pytest.mark.parametrize("platform", list(Platform))
def test_a_draft_may_lack_what_its_post_needs_and_hold_nothing_that_no_post_may(platform: Platform) -> None:
    """The picture comes tomorrow; a caption that is too long stays too long."""
    account = an_account(platform)
    assert errors_of(account, scheduled_at=None, caption="") == []
    assert errors_of(account, caption="") != []
    assert (ErrorCode.CAPTION_TOO_LONG, "caption") in errors_of(account, scheduled_at=None, caption="x" * 70_000)
    assert (ErrorCode.TOO_MANY_MEDIA, "media") in errors_of(account, scheduled_at=None, media=(VIDEO,) * 11)


def test_what_only_looks_like_a_hashtag_or_a_mention_is_none() -> None:
    """Musical keys, languages and addresses."""
    account = an_account(Platform.INSTAGRAM)
    assert errors_of(account, media=(IMAGE,), caption="C# # ada@example.com " * 40) == []


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_that_is_none_or_endless_is_refused(key: str) -> None:
    """An empty one would be everybody's; an endless one fits no index."""
    check_key(None)
    check_key("k" * 255)
    with pytest.raises(Refused) as refused:
        check_key(key)
    assert [(error.code, error.field) for error in refused.value.errors] == [
        (ErrorCode.VALIDATION_FAILED, "idempotencyKey")
    ]


@given(st.text(max_size=300))
def test_a_title_from_a_caption_keeps_youtubes_rules(caption: str) -> None:
    """At most 100 characters, one line, no angle brackets."""
    title = youtube_title(caption)
    assert len(title) <= 100
    assert not set(title) & set("<>\n\r")


def test_a_chosen_title_is_held_to_its_length() -> None:
    """101 characters are one too many."""
    account = an_account(Platform.YOUTUBE)
    variants = (Variant(account.id, options=YouTubeOptions(title="x" * 101)),)
    assert errors_of(account, media=(VIDEO,), variants=variants) == [(ErrorCode.VALIDATION_FAILED, "variants")]
