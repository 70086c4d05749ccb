"""Where posts, and what belongs to them, come from."""

from services.domain.ids import Kind
from services.models import ATTEMPTS, MEDIA, POSTS, TARGETS
from services.queries.mappings.fields import (
    Column,
    Id,
    Many,
    Mapping,
    Member,
    Moment,
    One,
    OrElse,
    Pages,
    Part,
    Through,
    Word,
)

POST = Mapping(
    table=POSTS,
    owner="user_id",
    fields={
        "id": Id(Kind.POST),
        "caption": Column("caption"),
        "link": Column("link"),
        "status": Word("status"),
        "scheduledAt": Moment("scheduled_at"),
        "publishedAt": Moment("published_at"),
        "createdAt": Moment("created_at"),
        "updatedAt": Moment("updated_at"),
        "version": Column("version"),
        "author": One("User", by="user_id"),
        "targets": Many("PostTarget", by="post_id", in_order_of="position"),
        "media": Many("Media", by="post_id", in_order_of="position"),
    },
)

POST_TARGET = Mapping(
    table=TARGETS,
    owner="user_id",
    fields={
        "id": Id(Kind.TARGET),
        "platform": Word("platform"),
        "status": Word("status"),
        "caption": Column("caption"),
        "attemptCount": Column("attempt_count"),
        "nextAttemptAt": Moment("next_attempt_at"),
        "platformPostId": Column("platform_post_id"),
        "permalink": Column("permalink"),
        "publishedAt": Moment("published_at"),
        "waitingFor": Part("WaitingFor", unless_null="waiting_code"),
        "lastError": Part("LastError", unless_null="error_code"),
        "options": Part(
            {"INSTAGRAM": "InstagramOptions", "FACEBOOK": "FacebookOptions", "YOUTUBE": "YouTubeOptions"},
            kind="platform",
            unless_null="options",
        ),
        "account": One("Account", by="account_id"),
        "attempts": Pages("Attempt", "attempts of a target"),
    },
)

WAITING_FOR = Mapping(
    fields={
        "code": Column("waiting_code"),
        "message": OrElse("waiting_message", "''"),
        "until": Moment("waiting_until"),
    }
)

LAST_ERROR = Mapping(
    fields={
        "code": Column("error_code"),
        "message": OrElse("error_message", "''"),
        "retryable": OrElse("error_retryable", "false"),
    }
)

INSTAGRAM_OPTIONS = Mapping(
    fields={
        "instagramKind": Member("options", "kind"),
        "shareToFeed": Member("options", "share_to_feed"),
    }
)

FACEBOOK_OPTIONS = Mapping(fields={"facebookKind": Member("options", "kind")})

YOUTUBE_OPTIONS = Mapping(
    fields={
        "title": Member("options", "title"),
        "privacy": Member("options", "privacy"),
        "tags": Member("options", "tags"),
        "categoryId": Member("options", "category_id"),
        "madeForKids": Member("options", "made_for_kids"),
    }
)

MEDIUM = Mapping(
    table=MEDIA,
    owner=Through("Post", by="post_id"),
    fields={
        "id": Id(Kind.MEDIA),
        "kind": Word("kind"),
        "url": Column("url"),
        "position": Column("position"),
        "altText": Column("alt_text"),
        "width": Column("width"),
        "height": Column("height"),
        "durationSeconds": Column("duration_seconds"),
    },
)

ATTEMPT = Mapping(
    table=ATTEMPTS,
    owner=Through("PostTarget", by="target_id"),
    fields={
        "id": Id(Kind.ATTEMPT),
        "number": Column("number"),
        "step": Column("step"),
        "startedAt": Moment("started_at"),
        "endedAt": Moment("ended_at"),
        "outcome": Word("outcome"),
        "code": Column("code"),
        "message": Column("message"),
    },
)
