"""Reading Instagram media back: one by its id, and one by what it must look like."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.domain.options import InstagramKind
from services.domain.publishing import Delivery
from services.providers.failures import NotDone
from services.providers.graph import GraphClient
from services.providers.instagram_containers import caption_of, shape_of
from services.providers.shapes import objects_in, text_in
from services.providers.timestamps import read_time

FIELDS = "id,caption,permalink,timestamp"
NEWEST = "100"
"""How many media are looked through; Instagram publishes no more than this in a day."""


@dataclass(frozen=True, slots=True)
class MediaFound:
    """A published medium as Instagram describes it."""

    id: str
    permalink: str | None
    published_at: datetime | None


async def read_media(graph: GraphClient, media_id: str, *, token: str) -> MediaFound | NotDone:
    """The medium of this id, which may be missing for a moment after it was published."""
    answer = await graph.get(media_id, token=token, expects="id", fields=FIELDS)
    return answer if isinstance(answer, NotDone) else _found(answer)


async def find_media(graph: GraphClient, delivery: Delivery) -> list[MediaFound] | NotDone:
    """The account's media with the delivery's caption that are no older than its first claim."""
    edge = "stories" if shape_of(delivery) is InstagramKind.STORY else "media"
    answer = await graph.get(
        f"{delivery.external_account_id}/{edge}",
        token=delivery.access_token,
        expects="data",
        fields=FIELDS,
        limit=NEWEST,
    )
    if isinstance(answer, NotDone):
        return answer
    return [_found(item) for item in objects_in(answer["data"]) if _fits(item, delivery)]


def _fits(item: Mapping[str, Any], delivery: Delivery) -> bool:
    published_at = read_time(item.get("timestamp"))
    # Instagram tells whole seconds: the moment of the claim is cut to its second, too.
    earliest = delivery.first_claimed_at.replace(microsecond=0)
    caption = str(item.get("caption") or "")
    is_recent = published_at is not None and published_at >= earliest
    return is_recent and caption.strip() == caption_of(delivery).strip()


def _found(item: Mapping[str, Any]) -> MediaFound:
    return MediaFound(str(item.get("id")), text_in(item.get("permalink")), read_time(item.get("timestamp")))
