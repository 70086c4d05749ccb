"""What was chosen per platform, as GraphQL shows it."""

from typing import Annotated, ClassVar

import strawberry
from graphql import GraphQLResolveInfo

from resolvers.context import Context
from services.domain import options


class _Chosen:
    """Lets GraphQL tell the members of the union apart."""

    stands_for: ClassVar[type[options.TargetOptions]]

    @classmethod
    def is_type_of(cls, value: object, _info: GraphQLResolveInfo[Context]) -> bool:
        """Whether `value` is shown as this type."""
        return type(value) is cls.stands_for


@strawberry.type(description="What was chosen for Instagram.")
class InstagramOptions(_Chosen):
    """`kind` has a name of its own here, as GraphQL lets no two members of a union have one name for two enums."""

    stands_for = options.InstagramOptions

    kind: options.InstagramKind = strawberry.field(name="instagramKind", description="The shape of the post.")
    share_to_feed: bool = strawberry.field(description="Whether a reel shows in the feed as well.")


@strawberry.type(description="What was chosen for a Facebook Page.")
class FacebookOptions(_Chosen):
    """Read off the domain's options of the same name."""

    stands_for = options.FacebookOptions

    kind: options.FacebookKind = strawberry.field(name="facebookKind", description="The shape of the post.")


@strawberry.type(description="What was chosen for YouTube; the caption is the video's description.")
class YouTubeOptions(_Chosen):
    """Read off the domain's options of the same name."""

    stands_for = options.YouTubeOptions

    title: str = strawberry.field(description="The video's title.")
    privacy: options.YouTubePrivacy = strawberry.field(description="Who sees the video.")
    tags: list[str] = strawberry.field(description="The video's tags.")
    category_id: str = strawberry.field(description="YouTube's category; 22 is `People & Blogs`.")
    made_for_kids: bool = strawberry.field(description="Whether the video is made for children.")


TargetOptions = Annotated[
    InstagramOptions | FacebookOptions | YouTubeOptions,
    strawberry.union("TargetOptions", description="What was chosen for the platform that the target is on."),
]
