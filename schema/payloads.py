"""What mutations answer: the object that changed, and what the person can mend where nothing did."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import strawberry
from strawberry.extensions import FieldExtension

from schema.accounts import Account
from schema.info import Info
from schema.operations import CircuitBreaker, RateLimit
from schema.posts import Post
from schema.scalars import Url
from schema.texts import check_texts
from services.domain import errors
from services.domain.posts import PostState

T = TypeVar("T")


@strawberry.type(description="One thing in the input that the person can mend.")
class UserError:
    """Read off a domain `UserError`."""

    code: errors.ErrorCode = strawberry.field(description="What is wrong, in one word.")
    message: str = strawberry.field(description="The same for people.")
    field: str | None = strawberry.field(description="Where in the input: a path such as `media.0.url`.")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What every payload is read off: what a use case returned, or why it refused."""

    result: T | None
    user_errors: tuple[errors.UserError, ...] = ()


_USER_ERRORS = "What the person can mend; where there is any, nothing was changed."


class Answers(FieldExtension):
    """Makes an `Answer` of what a mutation's resolver returns or refuses; every other error flies on."""

    async def resolve_async(self, next_: Callable[..., Awaitable[Any]], source: Any, info: Info, **kwargs: Any) -> Any:
        """Mutations follow one another, and each reads what the one before left."""
        info.context.forget()
        try:
            for given in kwargs.values():
                check_texts(given)
            return Answer(await next_(source, info, **kwargs))
        except errors.Refused as refusal:
            return Answer(None, refusal.errors)


def _post(root: strawberry.Parent[Answer[PostState]], info: Info) -> Any:
    """What was just written is not read again."""
    return None if root.result is None else info.context.loaders.prime(root.result)


def _result(root: strawberry.Parent[Answer[Any]]) -> Any:
    return root.result


@strawberry.type(description="What a change of a post answers.")
class PostPayload:
    """Read off an `Answer`."""

    post: Post | None = strawberry.field(resolver=_post, description="The post after it; null where none was changed.")
    user_errors: list[UserError] = strawberry.field(description=_USER_ERRORS)


@strawberry.type(description="What deleting a post answers.")
class DeletePostPayload:
    """Read off an `Answer`."""

    deleted_post_id: strawberry.ID | None = strawberry.field(
        resolver=_result, description="The id that names nothing any more; null where nothing was deleted."
    )
    user_errors: list[UserError] = strawberry.field(description=_USER_ERRORS)


@strawberry.type(description="What connecting an account answers.")
class ConnectAccountPayload:
    """Read off an `Answer`."""

    authorize_url: Url | None = strawberry.field(
        resolver=_result, description="Where to send the person, who says yes at the platform and comes back."
    )
    user_errors: list[UserError] = strawberry.field(description=_USER_ERRORS)


@strawberry.type(description="What disconnecting an account answers.")
class DisconnectAccountPayload:
    """Read off an `Answer`."""

    account: Account | None = strawberry.field(
        resolver=_result, description="The account after it; null where none was changed."
    )
    user_errors: list[UserError] = strawberry.field(description=_USER_ERRORS)


@strawberry.type(description="What a change of a circuit breaker answers.")
class CircuitBreakerPayload:
    """Read off an `Answer`."""

    circuit_breaker: CircuitBreaker | None = strawberry.field(
        resolver=_result, description="The breaker after it; null where none was changed."
    )
    user_errors: list[UserError] = strawberry.field(description=_USER_ERRORS)


@strawberry.type(description="What resetting a rate limit answers.")
class ResetRateLimitPayload:
    """Read off an `Answer`."""

    rate_limit: RateLimit | None = strawberry.field(
        resolver=_result, description="The limit after it; null where none was changed."
    )
    user_errors: list[UserError] = strawberry.field(description=_USER_ERRORS)


@strawberry.type(description="What sending failed targets again answers.")
class RetryFailedPayload:
    """Read off an `Answer`."""

    count: int | None = strawberry.field(resolver=_result, description="How many targets this call has sent again.")
    user_errors: list[UserError] = strawberry.field(description=_USER_ERRORS)
