"""What can be done. Each mutation takes one input and answers with the object it changed, or with what to mend."""

from typing import Annotated, TypeVar

import strawberry

from resolvers import operations as operators
from resolvers.operations import BreakerMove
from schema import inputs
from schema.access import OPERATOR, WRITER
from schema.conversions import read_changes, read_draft, read_failed_filter, read_id
from schema.fields import field
from schema.filters import FailedFilter
from schema.info import Info
from schema.payloads import (
    Answers,
    CircuitBreakerPayload,
    ConnectAccountPayload,
    DeletePostPayload,
    DisconnectAccountPayload,
    PostPayload,
    ResetRateLimitPayload,
    RetryFailedPayload,
)
from services.domain.accounts import Account
from services.domain.breakers import BreakerStats
from services.domain.ids import Kind, encode_id
from services.domain.limits import RateLimit
from services.domain.posts import PostState

T = TypeVar("T")

Given = Annotated[T, strawberry.argument(name="input", description="What is wanted.")]

PERSON = [Answers(), WRITER]
ADMIN = [Answers(), OPERATOR]


@strawberry.type(description="What can be done.")
class Mutation:
    """Every root field may be null, so that one that fails does not hide what the ones before it did."""

    @field(PostPayload | None, "Write a post that goes out at its time.", *PERSON)
    @staticmethod
    async def schedule_post(info: Info, given: Given[inputs.SchedulePostInput]) -> PostState:
        """One use case."""
        return await info.context.services.posts.schedule_post(
            info.context.asker, read_draft(given), idempotency_key=given.idempotency_key
        )

    @field(PostPayload | None, "Write a post that goes nowhere until it is given a time.", *PERSON)
    @staticmethod
    async def create_draft(info: Info, given: Given[inputs.CreateDraftInput]) -> PostState:
        """One use case."""
        return await info.context.services.posts.create_draft(
            info.context.asker, read_draft(given), idempotency_key=given.idempotency_key
        )

    @field(PostPayload | None, "Change what has not gone out of a post.", *PERSON)
    @staticmethod
    async def update_post(info: Info, given: Given[inputs.UpdatePostInput]) -> PostState:
        """One use case."""
        return await info.context.services.posts.update_post(
            info.context.asker,
            read_id(Kind.POST, given.id),
            read_changes(given),
            expected_version=given.expected_version,
        )

    @field(PostPayload | None, "Give a post another time.", *PERSON)
    @staticmethod
    async def reschedule_post(
        info: Info,
        given: Annotated[
            inputs.ReschedulePostInput, strawberry.argument(name="input", description="The post and its time.")
        ],
    ) -> PostState:
        """One use case."""
        return await info.context.services.posts.reschedule_post(
            info.context.asker,
            read_id(Kind.POST, given.id),
            given.scheduled_at,
            expected_version=given.expected_version,
        )

    @field(PostPayload | None, "Call off what has not gone out of a post; what is out stays.", *PERSON)
    @staticmethod
    async def cancel_post(info: Info, given: Given[inputs.CancelPostInput]) -> PostState:
        """One use case."""
        return await info.context.services.posts.cancel_post(
            info.context.asker, read_id(Kind.POST, given.id), expected_version=given.expected_version
        )

    @field(PostPayload | None, "Send at once what has not gone out of a post.", *PERSON)
    @staticmethod
    async def publish_post_now(info: Info, given: Given[inputs.PublishPostNowInput]) -> PostState:
        """One use case."""
        return await info.context.services.posts.publish_post_now(
            info.context.asker,
            read_id(Kind.POST, given.id),
            expected_version=given.expected_version,
            idempotency_key=given.idempotency_key,
        )

    @field(PostPayload | None, "Send again what failed, was missed or is unconfirmed.", *PERSON)
    @staticmethod
    async def retry_post(info: Info, given: Given[inputs.RetryPostInput]) -> PostState:
        """One use case."""
        return await info.context.services.posts.retry_post(
            info.context.asker,
            read_id(Kind.POST, given.id),
            accept_duplicate=given.accept_duplicate,
            idempotency_key=given.idempotency_key,
        )

    @field(PostPayload | None, "Say that an unconfirmed target is out: you have seen it.", *PERSON)
    @staticmethod
    async def confirm_published(info: Info, given: Given[inputs.ConfirmPublishedInput]) -> PostState:
        """One use case."""
        return await info.context.services.posts.confirm_published(
            info.context.asker, read_id(Kind.TARGET, given.target_id), permalink=given.permalink
        )

    @field(DeletePostPayload | None, "Forget a post; what is out stays on the platforms.", *PERSON)
    @staticmethod
    async def delete_post(info: Info, given: Given[inputs.DeletePostInput]) -> strawberry.ID:
        """Gives the id in the clients' form."""
        deleted = await info.context.services.posts.delete_post(info.context.asker, read_id(Kind.POST, given.id))
        return strawberry.ID(encode_id(Kind.POST, deleted))

    @field(ConnectAccountPayload | None, "Begin to connect an account.", *PERSON)
    @staticmethod
    async def connect_account(info: Info, given: Given[inputs.ConnectAccountInput]) -> str:
        """The round trip ends at `/oauth/{platform}/callback`."""
        return await info.context.services.accounts.connect_account(info.context.asker, given.platform)

    @field(DisconnectAccountPayload | None, "Forget an account's tokens; its posts stay, and wait.", *PERSON)
    @staticmethod
    async def disconnect_account(info: Info, given: Given[inputs.DisconnectAccountInput]) -> Account:
        """The account stays, too."""
        return await info.context.services.accounts.disconnect_account(
            info.context.asker, read_id(Kind.ACCOUNT, given.id)
        )

    @field(
        CircuitBreakerPayload | None,
        "Operators only: turn all calls to a platform away until somebody closes or resets its breaker.",
        *ADMIN,
    )
    @staticmethod
    async def open_circuit_breaker(info: Info, given: Given[inputs.CircuitBreakerInput]) -> BreakerStats:
        """Audited."""
        return await operators.move_breaker(info.context, given.name, BreakerMove.OPEN)

    @field(CircuitBreakerPayload | None, "Operators only: let calls to a platform pass again.", *ADMIN)
    @staticmethod
    async def close_circuit_breaker(info: Info, given: Given[inputs.CircuitBreakerInput]) -> BreakerStats:
        """Audited."""
        return await operators.move_breaker(info.context, given.name, BreakerMove.CLOSE)

    @field(CircuitBreakerPayload | None, "Operators only: close a breaker and forget its past.", *ADMIN)
    @staticmethod
    async def reset_circuit_breaker(info: Info, given: Given[inputs.CircuitBreakerInput]) -> BreakerStats:
        """Audited."""
        return await operators.move_breaker(info.context, given.name, BreakerMove.RESET)

    @field(ResetRateLimitPayload | None, "Operators only: give a user the whole limit on a platform again.", *ADMIN)
    @staticmethod
    async def reset_rate_limit(
        info: Info,
        given: Annotated[
            inputs.ResetRateLimitInput, strawberry.argument(name="input", description="The user and the platform.")
        ],
    ) -> RateLimit:
        """Audited."""
        return await operators.reset_rate_limit(info.context, read_id(Kind.USER, given.user_id), given.platform)

    @field(RetryFailedPayload | None, "Operators only: send all failed targets again that the filter means.", *ADMIN)
    @staticmethod
    async def retry_failed(
        info: Info,
        wanted: Annotated[FailedFilter, strawberry.argument(name="filter", description="Which targets.")],
        idempotency_key: Annotated[str | None, strawberry.argument(description=inputs.BULK_KEY)] = None,
    ) -> int:
        """Audited."""
        return await operators.retry_failed(info.context, read_failed_filter(wanted), idempotency_key=idempotency_key)
