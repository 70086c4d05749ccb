"""What an Instagram container is made of, and what its status says."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from services.domain.drafts import instagram_kind
from services.domain.options import InstagramKind, InstagramOptions
from services.domain.posts import Media, MediaKind
from services.domain.publishing import Delivery
from services.providers.failures import NotDone, not_done
from services.providers.graph import rule_for
from services.providers.instagram_rules import INSTAGRAM_RULES


class ContainerStatus(StrEnum):
    """How far Instagram is with a container."""

    IN_PROGRESS = "IN_PROGRESS"
    FINISHED = "FINISHED"
    PUBLISHED = "PUBLISHED"
    ERROR = "ERROR"
    EXPIRED = "EXPIRED"
    """Never published, and 24 hours old."""


def shape_of(delivery: Delivery) -> InstagramKind:
    """What the post becomes on Instagram."""
    return instagram_kind(_options(delivery), [medium.kind for medium in delivery.media])


def caption_of(delivery: Delivery) -> str:
    """What Instagram shows as its caption: a story has none."""
    return "" if shape_of(delivery) is InstagramKind.STORY else delivery.caption


def container_fields(delivery: Delivery) -> dict[str, str]:
    """The form that creates a container from one medium."""
    medium = delivery.media[0]
    match shape_of(delivery):
        case InstagramKind.STORY:
            return {"media_type": "STORIES", **_source(medium)}
        case InstagramKind.REEL:
            options = _options(delivery) or InstagramOptions()
            share = "true" if options.share_to_feed else "false"
            return {"media_type": "REELS", "share_to_feed": share, "caption": delivery.caption, **_source(medium)}
        case _:
            return {"caption": delivery.caption, **_source(medium), **_alt_text(medium)}


def child_fields(medium: Media) -> dict[str, str]:
    """The form that creates one part of a carousel."""
    kind = {"media_type": "VIDEO"} if medium.kind is MediaKind.VIDEO else {}
    return {"is_carousel_item": "true", **kind, **_source(medium), **_alt_text(medium)}


def carousel_fields(delivery: Delivery, children: Sequence[str]) -> dict[str, str]:
    """The form that binds the parts together."""
    return {"media_type": "CAROUSEL", "children": ",".join(children), "caption": delivery.caption}


def processing_failure(status: Mapping[str, Any]) -> NotDone:
    """Why a container ended in ERROR: its `status` is prose with the subcode in it."""
    prose = str(status.get("status") or "Instagram could not process the media.")
    found = re.search(r"\b2207\d{3}\b", prose)
    subcode = int(found[0]) if found else None
    rule = rule_for(INSTAGRAM_RULES, None, subcode, status=200, is_transient=False)
    return not_done(rule, prose, platform_code=None if subcode is None else str(subcode))


def _options(delivery: Delivery) -> InstagramOptions | None:
    return delivery.options if isinstance(delivery.options, InstagramOptions) else None


def _source(medium: Media) -> dict[str, str]:
    return {"video_url" if medium.kind is MediaKind.VIDEO else "image_url": medium.url}


def _alt_text(medium: Media) -> dict[str, str]:
    return {"alt_text": medium.alt_text} if medium.alt_text and medium.kind is MediaKind.IMAGE else {}
