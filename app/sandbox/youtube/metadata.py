"""What a new video says about itself, checked as YouTube checks it before the first byte."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from app.sandbox.youtube.errors import GoogleError, bad_request

TITLE_LENGTH = 100
DESCRIPTION_BYTES = 5000
TAGS_LENGTH = 500
CATEGORIES = frozenset({"1", "2", "10", "15", "17", "19", "20", "22", "23", "24", "25", "26", "27", "28", "29"})

Privacy = Literal["public", "unlisted", "private"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The checked snippet and status of a video."""

    title: str
    description: str
    tags: list[str]
    category: str
    privacy: Privacy
    public_at: datetime | None
    made_for_kids: bool


def read_metadata(body: Any, *, now: datetime) -> Metadata:
    """The metadata in an insert's JSON body; raises 400 with the reason YouTube gives for what is wrong."""
    if not isinstance(body, dict):
        raise bad_request("The request body must be a JSON object.", reason="invalidVideoMetadata")
    snippet, status = _section(body, "snippet"), _section(body, "status")
    privacy = _privacy(status)
    return Metadata(
        title=_title(snippet),
        description=_description(snippet),
        tags=_tags(snippet),
        category=_category(snippet),
        privacy=privacy,
        public_at=_public_at(status, privacy, now),
        made_for_kids=_boolean(status, "selfDeclaredMadeForKids"),
    )


def _section(body: dict[str, Any], name: str) -> dict[str, Any]:
    section = body.get(name, {})
    if not isinstance(section, dict):
        raise bad_request(f"{name} must be an object.", reason="invalidVideoMetadata")
    return section


def _title(snippet: dict[str, Any]) -> str:
    title = snippet.get("title")
    if not isinstance(title, str) or not title.strip() or len(title) > TITLE_LENGTH or set(title) & set("<>"):
        raise bad_request("The request metadata specifies an invalid or empty video title.", reason="invalidTitle")
    return title


def _description(snippet: dict[str, Any]) -> str:
    text = snippet.get("description", "")
    if not isinstance(text, str) or len(text.encode()) > DESCRIPTION_BYTES or set(text) & set("<>"):
        raise bad_request("The request metadata specifies an invalid video description.", reason="invalidDescription")
    return text


def _tags(snippet: dict[str, Any]) -> list[str]:
    tags = snippet.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags) or _tags_length(tags) > TAGS_LENGTH:
        raise bad_request("The request metadata specifies invalid video keywords.", reason="invalidTags")
    return tags


def _tags_length(tags: list[str]) -> int:
    """As YouTube counts: commas between tags, and quotation marks around those with a space."""
    return sum(len(tag) + (2 if " " in tag else 0) for tag in tags) + max(0, len(tags) - 1)


def _category(snippet: dict[str, Any]) -> str:
    category = snippet.get("categoryId", "22")
    if category not in CATEGORIES:
        raise bad_request(
            "The snippet.categoryId property specifies an invalid category ID.", reason="invalidCategoryId"
        )
    return cast(str, category)


def _privacy(status: dict[str, Any]) -> Privacy:
    privacy = status.get("privacyStatus", "public")
    if privacy not in ("public", "unlisted", "private"):
        raise GoogleError(403, "forbiddenPrivacySetting", f"The privacy setting {privacy!r} is not possible.")
    return cast(Privacy, privacy)


def _public_at(status: dict[str, Any], privacy: Privacy, now: datetime) -> datetime | None:
    text = status.get("publishAt")
    if text is None:
        return None
    try:
        public_at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        public_at = None
    if public_at is None or public_at.tzinfo is None or public_at <= now or privacy != "private":
        message = "The request metadata specifies an invalid scheduled publishing time."
        raise bad_request(message, reason="invalidPublishAt")
    return public_at


def _boolean(section: dict[str, Any], name: str) -> bool:
    value = section.get(name, False)
    if not isinstance(value, bool):
        raise bad_request(f"{name} must be true or false.", reason="invalidVideoMetadata")
    return value
