"""What mutations take: one input each."""

from datetime import datetime

import strawberry

from schema.scalars import Url
from services.domain.accounts import Platform
from services.domain.options import FacebookKind, InstagramKind, YouTubePrivacy
from services.domain.posts import MediaKind

_EXPECTED = "The version that was read: if the post has changed since, nothing happens and the answer is CONFLICT."
_KEY = (
    "Any 1 to 255 characters that name this wish: the same key and input again gives the same post and makes no other."
)
_SEND_KEY = (
    "Any 1 to 255 characters that name this wish: the same key and input again sends nothing more, and gives the post."
)
BULK_KEY = (
    "Any 1 to 255 characters that name this wish: the same key and filter again sends what of it is left, and nothing"
    " that has failed since."
)
_TIME = "When it goes out."


@strawberry.input(description="A picture or video: a public `url`, or the `mediaId` of an upload.")
class MediaInput:
    """Which of the two is checked with the rest of the draft."""

    kind: MediaKind = strawberry.field(description="Picture or video.")
    url: Url | None = strawberry.field(default=None, description="Where platforms can fetch it.")
    media_id: strawberry.ID | None = strawberry.field(default=None, description="What `POST /media` answered.")
    alt_text: str | None = strawberry.field(
        default=None, description="What it shows, for those who cannot see it; at most 1,000 characters."
    )


@strawberry.input(description="Choices for Instagram.")
class InstagramInput:
    """Defaults are the domain's."""

    kind: InstagramKind = strawberry.field(default=InstagramKind.FEED, description="The shape of the post.")
    share_to_feed: bool = strawberry.field(default=True, description="Whether a reel shows in the feed as well.")


@strawberry.input(description="Choices for a Facebook Page.")
class FacebookInput:
    """Defaults are the domain's."""

    kind: FacebookKind = strawberry.field(default=FacebookKind.POST, description="The shape of the post.")


@strawberry.input(description="Choices for YouTube.")
class YouTubeInput:
    """Defaults are the domain's."""

    title: str | None = strawberry.field(default=None, description="The video's title; else the caption's first line.")
    privacy: YouTubePrivacy = strawberry.field(default=YouTubePrivacy.PUBLIC, description="Who sees the video.")
    tags: list[str] = strawberry.field(default_factory=list, description="The video's tags.")
    category_id: str = strawberry.field(default="22", description="YouTube's category; 22 is `People & Blogs`.")
    made_for_kids: bool = strawberry.field(default=False, description="Whether the video is made for children.")


@strawberry.input(description="What is different for one account; at most one platform's choices, the account's own.")
class VariantInput:
    """One of `accountIds`."""

    account_id: strawberry.ID = strawberry.field(description="For which account.")
    caption: str | None = strawberry.field(default=None, description="What is said there instead.")
    instagram: InstagramInput | None = strawberry.field(default=None, description="Choices for Instagram.")
    facebook: FacebookInput | None = strawberry.field(default=None, description="Choices for a Facebook Page.")
    youtube: YouTubeInput | None = strawberry.field(default=None, name="youtube", description="Choices for YouTube.")


@strawberry.input(description="A post that goes out at its time.")
class SchedulePostInput:
    """A draft with a time."""

    caption: str = strawberry.field(description="What is said.")
    account_ids: list[strawberry.ID] = strawberry.field(description="Where it goes.")
    scheduled_at: datetime = strawberry.field(description=_TIME)
    link: Url | None = strawberry.field(default=None, description="What it points to.")
    media: list[MediaInput] = strawberry.field(default_factory=list, description="Its pictures and videos, in order.")
    variants: list[VariantInput] = strawberry.field(
        default_factory=list, description="What is different for single accounts."
    )
    idempotency_key: str | None = strawberry.field(default=None, description=_KEY)


@strawberry.input(description="A post that goes nowhere until it is given a time.")
class CreateDraftInput:
    """Accounts can wait, too."""

    caption: str = strawberry.field(description="What is said.")
    account_ids: list[strawberry.ID] = strawberry.field(default_factory=list, description="Where it will go.")
    link: Url | None = strawberry.field(default=None, description="What it points to.")
    media: list[MediaInput] = strawberry.field(default_factory=list, description="Its pictures and videos, in order.")
    variants: list[VariantInput] = strawberry.field(
        default_factory=list, description="What is different for single accounts."
    )
    idempotency_key: str | None = strawberry.field(default=None, description=_KEY)


@strawberry.input(description="Changes of a post; what is left out stays as it is.")
class UpdatePostInput:
    """`Maybe` tells what was left out from what is null; where null means nothing, the conversion refuses it."""

    id: strawberry.ID = strawberry.field(description="Which post.")
    caption: strawberry.Maybe[str | None] = strawberry.field(description="What is said.")
    link: strawberry.Maybe[Url | None] = strawberry.field(description="What it points to; null takes it away.")
    account_ids: strawberry.Maybe[list[strawberry.ID] | None] = strawberry.field(description="Where it goes.")
    scheduled_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="When it goes out; null makes it a draft."
    )
    media: strawberry.Maybe[list[MediaInput] | None] = strawberry.field(
        description="All its pictures and videos, in order."
    )
    variants: strawberry.Maybe[list[VariantInput] | None] = strawberry.field(
        description="All that is different for single accounts."
    )
    expected_version: int | None = strawberry.field(default=None, description=_EXPECTED)


@strawberry.input(description="Another time for a post.")
class ReschedulePostInput:
    """Works on what was missed or failed as well."""

    id: strawberry.ID = strawberry.field(description="Which post.")
    scheduled_at: datetime = strawberry.field(description=_TIME)
    expected_version: int | None = strawberry.field(default=None, description=_EXPECTED)


@strawberry.input(description="A post that is called off.")
class CancelPostInput:
    """What is out stays out."""

    id: strawberry.ID = strawberry.field(description="Which post.")
    expected_version: int | None = strawberry.field(default=None, description=_EXPECTED)


@strawberry.input(description="A post to forget.")
class DeletePostInput:
    """What is on platforms stays there."""

    id: strawberry.ID = strawberry.field(description="Which post.")


@strawberry.input(description="A post to send at once.")
class PublishPostNowInput:
    """Whatever its time was."""

    id: strawberry.ID = strawberry.field(description="Which post.")
    expected_version: int | None = strawberry.field(default=None, description=_EXPECTED)
    idempotency_key: str | None = strawberry.field(default=None, description=_SEND_KEY)


@strawberry.input(description="A post whose failed, missed or unconfirmed targets are sent again.")
class RetryPostInput:
    """What may be out already is sent again only where the person accepts that."""

    id: strawberry.ID = strawberry.field(description="Which post.")
    accept_duplicate: bool = strawberry.field(
        default=False, description="Send unconfirmed targets too, although they may be out already."
    )
    idempotency_key: str | None = strawberry.field(default=None, description=_SEND_KEY)


@strawberry.input(description="An unconfirmed target that the person has seen on its platform.")
class ConfirmPublishedInput:
    """The person's word stands for the platform's."""

    target_id: strawberry.ID = strawberry.field(description="Which target.")
    permalink: Url | None = strawberry.field(default=None, description="Where it is seen.")


@strawberry.input(description="An account to connect.")
class ConnectAccountInput:
    """Which account is chosen at the platform."""

    platform: Platform = strawberry.field(description="Where it is.")


@strawberry.input(description="An account to disconnect.")
class DisconnectAccountInput:
    """Its posts stay, and wait."""

    id: strawberry.ID = strawberry.field(description="Which account.")


@strawberry.input(description="A circuit breaker to open, close or reset.")
class CircuitBreakerInput:
    """The same for all three."""

    name: str = strawberry.field(description="Which one, such as `instagram-api`.")


@strawberry.input(description="A person's rate limit to reset on one platform.")
class ResetRateLimitInput:
    """The platform's own limits stay as they are."""

    user_id: strawberry.ID = strawberry.field(description="Whose limit.")
    platform: Platform = strawberry.field(description="On which platform.")
