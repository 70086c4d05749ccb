"""What lists can be narrowed to."""

from datetime import datetime
from typing import Annotated

import strawberry

from schema.flat_inputs import flat
from services.domain.accounts import AccountStatus, Platform
from services.domain.errors import ErrorCode
from services.domain.posts import PostOrder, PostStatus
from services.domain.viewers import Role

_STRANGER = "Operators only: whose objects, instead of the viewer's own."

Order = Annotated[PostOrder, strawberry.argument(description="Which posts come first.")]


@flat
@strawberry.input(description="Which posts a list shows; what is left out restricts nothing.")
class PostFilter:
    """`userId` says whose list it is; the rest says what is in it."""

    statuses: list[PostStatus] | None = strawberry.field(default=None, description="Posts that stand at one of these.")
    platforms: list[Platform] | None = strawberry.field(default=None, description="Posts for one of these.")
    account_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Posts for one of these accounts."
    )
    scheduled_from: datetime | None = strawberry.field(default=None, description="Posts of this moment or later.")
    scheduled_to: datetime | None = strawberry.field(default=None, description="Posts of before this moment.")
    search: str | None = strawberry.field(
        default=None, description="Posts whose caption has this text in it, in any case; at most 200 characters."
    )
    user_id: strawberry.ID | None = strawberry.field(default=None, description=_STRANGER)


@flat
@strawberry.input(description="Which accounts a list shows; what is left out restricts nothing.")
class AccountFilter:
    """`userId` says whose list it is; the rest says what is in it."""

    platforms: list[Platform] | None = strawberry.field(default=None, description="Accounts on one of these.")
    statuses: list[AccountStatus] | None = strawberry.field(
        default=None, description="Accounts that stand at one of these."
    )
    user_id: strawberry.ID | None = strawberry.field(default=None, description=_STRANGER)


@flat
@strawberry.input(description="Which failed targets are meant; what is left out restricts nothing.")
class FailedFilter:
    """`failures` counts what it means, `retryFailed` sends it again."""

    platforms: list[Platform] | None = strawberry.field(default=None, description="Targets on one of these.")
    codes: list[ErrorCode] | None = strawberry.field(
        default=None, description="Targets whose `lastError` has one of these codes."
    )
    user_id: strawberry.ID | None = strawberry.field(default=None, description="One user's targets.")
    failed_since: datetime | None = strawberry.field(
        default=None, description="Targets that failed at this moment or later."
    )


@flat
@strawberry.input(description="Which users a list shows; what is left out restricts nothing.")
class UserFilter:
    """Only operators list users."""

    role: Role | None = strawberry.field(default=None, description="Users who may do this much.")
    search: str | None = strawberry.field(
        default=None, description="Users whose name has this text in it, in any case; at most 200 characters."
    )
