"""What a person can ask to change about a post that exists."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, TypeVar
from uuid import UUID

from services.domain.accounts import Platform
from services.domain.drafts import MediaDraft, Variant
from services.domain.errors import ErrorCode

T = TypeVar("T")


class Unset(Enum):
    """The value of what was not mentioned, so that `None` can mean `take it away`."""

    UNSET = "UNSET"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class PostChanges:
    """An edit: only what is mentioned changes. `media` and `variants` replace what was there."""

    caption: str | Unset = UNSET
    link: str | Unset | None = UNSET
    account_ids: tuple[UUID, ...] | Unset = UNSET
    scheduled_at: datetime | Unset | None = UNSET
    media: tuple[MediaDraft, ...] | Unset = UNSET
    variants: tuple[Variant, ...] | Unset = UNSET


@dataclass(frozen=True, slots=True)
class FailedFilter:
    """Which failed targets an operator sends again; None means all."""

    platforms: tuple[Platform, ...] | None = None
    codes: tuple[ErrorCode, ...] | None = None
    user_id: UUID | None = None
    failed_since: datetime | None = None
    failed_before: datetime | None = None
    """Nothing of theirs was tried at this moment or later."""


def kept(value: T | Unset, otherwise: T) -> T:
    """The new value where one was mentioned, else the old one."""
    return otherwise if value is UNSET else value
