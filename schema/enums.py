"""The domain's enums as GraphQL shows them, every value with its meaning."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from services.domain.accounts import AccountStatus, Platform
from services.domain.breakers import BreakerState
from services.domain.errors import CATALOGUE, ErrorCode
from services.domain.health import HealthStatus
from services.domain.options import FacebookKind, InstagramKind, YouTubePrivacy
from services.domain.posts import AttemptOutcome, MediaKind, PostOrder, PostStatus, TargetStatus
from services.domain.viewers import Role

E = TypeVar("E", bound=StrEnum)


def _describe(enum: type[E], description: str, values: Mapping[E, str]) -> None:
    """Make a domain enum a GraphQL enum with values spelled alike; each of them must be described."""
    strawberry.enum(enum, description=description, graphql_name_from="value")
    definition: StrawberryEnumDefinition = vars(enum)["__strawberry_definition__"]
    for value in definition.values:
        value.description = values[enum(value.value)]


_describe(
    Role,
    "What a user may ever do.",
    {Role.PERSON: "Schedules posts.", Role.ADMIN: "Operates Crier: reads others' data by naming them."},
)
_describe(
    Platform,
    "Where posts go.",
    {
        Platform.INSTAGRAM: "An Instagram professional account.",
        Platform.FACEBOOK: "A Facebook Page.",
        Platform.YOUTUBE: "A YouTube channel.",
    },
)
_describe(
    AccountStatus,
    "Whether an account can publish.",
    {
        AccountStatus.CONNECTED: "It can.",
        AccountStatus.EXPIRING: "It can, but its token ends within 14 days and is not refreshed by itself.",
        AccountStatus.EXPIRED: "Its token has ended: connect it again.",
        AccountStatus.REVOKED: "The platform no longer accepts its token: connect it again.",
        AccountStatus.DISCONNECTED: "You disconnected it.",
    },
)
_describe(
    MediaKind,
    "What a medium is.",
    {MediaKind.IMAGE: "A picture.", MediaKind.VIDEO: "A video."},
)
_TARGET_STATUSES = {
    TargetStatus.DRAFT: "Written, but without a time.",
    TargetStatus.SCHEDULED: "Waits for its time.",
    TargetStatus.PUBLISHING: "On its way to the platform.",
    TargetStatus.RETRYING: "Failed for now and is tried again by itself.",
    TargetStatus.BLOCKED: "Waits until its account is connected again.",
    TargetStatus.UNCONFIRMED: "Nobody can tell whether it went out: look, then confirm or retry.",
    TargetStatus.MISSED: "Overdue for too long to go out unasked: publish it now or reschedule it.",
    TargetStatus.PUBLISHED: "Out, where people can see it.",
    TargetStatus.FAILED: "Given up; `lastError` says why.",
    TargetStatus.CANCELED: "Called off before it went out.",
}
_describe(TargetStatus, "Where one target of a post stands.", _TARGET_STATUSES)
_describe(
    PostStatus,
    "Where a post stands as a whole: what all its targets share; else what is still to come, least advanced first "
    "(`PUBLISHING` wins); else whether some of it is out.",
    {
        **{PostStatus(status.value): meaning for status, meaning in _TARGET_STATUSES.items()},
        PostStatus.PARTIALLY_PUBLISHED: "Out on some of its accounts, and nothing more is to come.",
    },
)
_describe(
    AttemptOutcome,
    "How one step towards a platform ended.",
    {
        AttemptOutcome.SUCCEEDED: "It did what it was for.",
        AttemptOutcome.WAITING: "The platform is still at work on it.",
        AttemptOutcome.DEFERRED: "Put off without being charged as a try: a quota, a breaker or a restart.",
        AttemptOutcome.FAILED: "The platform refused or could not be reached.",
        AttemptOutcome.UNKNOWN: "No answer says whether it happened.",
        AttemptOutcome.INTERRUPTED: "The worker ended in the middle of it.",
    },
)
_describe(
    PostOrder,
    "The order of a list of posts.",
    {
        PostOrder.SCHEDULED_AT_ASC: "By time, the next first; posts without a time come last.",
        PostOrder.SCHEDULED_AT_DESC: "By time, the latest first; posts without a time come first.",
        PostOrder.CREATED_AT_ASC: "By creation, the oldest first.",
        PostOrder.CREATED_AT_DESC: "By creation, the newest first.",
    },
)
_describe(
    InstagramKind,
    "The shapes of an Instagram post.",
    {
        InstagramKind.FEED: "One picture in the feed; several make a carousel, and a video a reel.",
        InstagramKind.REEL: "A video as a reel.",
        InstagramKind.STORY: "A picture or video as a story.",
        InstagramKind.CAROUSEL: "Two to ten pictures or videos.",
    },
)
_describe(
    FacebookKind,
    "The shapes of a Facebook Page post.",
    {FacebookKind.POST: "Text, link, pictures or a video on the Page.", FacebookKind.REEL: "A video as a reel."},
)
_describe(
    YouTubePrivacy,
    "Who sees a video.",
    {
        YouTubePrivacy.PUBLIC: "Everybody.",
        YouTubePrivacy.UNLISTED: "Whoever has the link.",
        YouTubePrivacy.PRIVATE: "The channel's owner alone.",
    },
)
_describe(
    ErrorCode,
    "What went wrong, in one word that a program can act on.",
    {code: facts.meaning for code, facts in CATALOGUE.items()},
)
_describe(
    BreakerState,
    "Whether a circuit breaker lets calls pass.",
    {
        BreakerState.CLOSED: "They pass.",
        BreakerState.OPEN: "They are turned away: the platform is failing, or an operator said so.",
        BreakerState.HALF_OPEN: "One passes, to see whether the platform is well again.",
    },
)
_describe(
    HealthStatus,
    "How a part of Crier, or all of it, is doing.",
    {
        HealthStatus.OK: "It does what it should.",
        HealthStatus.DEGRADED: "It serves, but posts may be late or answers slower.",
        HealthStatus.UNFIT: "This process cannot serve.",
    },
)
