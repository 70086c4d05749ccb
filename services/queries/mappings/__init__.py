"""Where each field of each type comes from: one table per type, and nothing of how statements are made."""

from collections.abc import Mapping as Map

from services.domain.ids import Kind
from services.queries.mappings.accounts import ACCOUNT, USER
from services.queries.mappings.connections import PAGE_INFO
from services.queries.mappings.fields import Mapping
from services.queries.mappings.posts import (
    ATTEMPT,
    FACEBOOK_OPTIONS,
    INSTAGRAM_OPTIONS,
    LAST_ERROR,
    MEDIUM,
    POST,
    POST_TARGET,
    WAITING_FOR,
    YOUTUBE_OPTIONS,
)

MAPPINGS: Map[str, Mapping] = {
    "Account": ACCOUNT,
    "Attempt": ATTEMPT,
    "FacebookOptions": FACEBOOK_OPTIONS,
    "InstagramOptions": INSTAGRAM_OPTIONS,
    "LastError": LAST_ERROR,
    "Media": MEDIUM,
    "PageInfo": PAGE_INFO,
    "Post": POST,
    "PostTarget": POST_TARGET,
    "User": USER,
    "WaitingFor": WAITING_FOR,
    "YouTubeOptions": YOUTUBE_OPTIONS,
}
"""By the type's name in the schema."""

TYPE_OF: Map[Kind, str] = {
    Kind.ACCOUNT: "Account",
    Kind.ATTEMPT: "Attempt",
    Kind.MEDIA: "Media",
    Kind.POST: "Post",
    Kind.TARGET: "PostTarget",
    Kind.USER: "User",
}
"""Kinds of ids that name an object of the schema."""
