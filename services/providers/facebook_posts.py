"""Feed posts of a Page: text, a link, pictures.

    upload_photo × n → create_post → publish_post

Photos and post are made unpublished; `publish_post` only turns a stored id visible, so that repeating any step shows
nothing twice. What the checkpoint holds: photos (their ids), post, permalink.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from services.domain.publishing import (
    Advanced,
    Checkpoint,
    Delivery,
    Finding,
    Published,
    Step,
    StepOutcome,
)
from services.providers.failures import NotDone, not_out
from services.providers.graph import GraphClient
from services.providers.pacing import Pacing
from services.providers.shapes import text_in

UPLOAD_PHOTO = Step("upload_photo", shows=False)
CREATE_POST = Step("create_post", shows=False)
PUBLISH_POST = Step("publish_post", shows=True)


class PostFlow:
    """The steps of a feed post."""

    def __init__(self, *, graph: GraphClient, now: Callable[[], datetime], grace: Pacing) -> None:
        self._graph = graph
        self._now = now
        self._grace = grace
        self._acts = {
            UPLOAD_PHOTO: self._upload_photo,
            CREATE_POST: self._create_post,
            PUBLISH_POST: self._publish_post,
        }

    def next_step(self, delivery: Delivery) -> Step:
        """What comes next, by the checkpoint."""
        at = delivery.checkpoint
        if "post" in at:
            return PUBLISH_POST
        return UPLOAD_PHOTO if len(at.get("photos", ())) < len(delivery.media) else CREATE_POST

    async def perform(self, delivery: Delivery) -> StepOutcome:
        """Do the next step."""
        return await self._acts[self.next_step(delivery)](delivery)

    async def find_out(self, delivery: Delivery) -> Finding:
        """Ask the post whether it is published."""
        at = delivery.checkpoint
        if not self.next_step(delivery).shows:
            return Advanced(at)

        post = await self._graph.get(
            at["post"], token=delivery.access_token, expects="id", fields="id,is_published,permalink_url"
        )
        if isinstance(post, NotDone):
            return self._grace.unknown(post.failure.message, at) if post.is_missing else post.ask_later(at)
        if post.get("is_published"):
            return Published(at["post"], at["permalink"] or text_in(post.get("permalink_url")), self._now())
        if not self._grace.is_over(at):
            return self._grace.unknown("Facebook says that the post is not published; reads may lag behind.", at)
        return not_out(at, _made(at))

    async def _upload_photo(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        photos: list[str] = list(at.get("photos", ()))
        medium = delivery.media[len(photos)]
        alt_text = {"alt_text_custom": medium.alt_text} if medium.alt_text else {}
        photo = await self._graph.post(
            f"{delivery.external_account_id}/photos",
            token=delivery.access_token,
            expects="id",
            url=medium.url,
            published="false",
            **alt_text,
        )
        return photo.rejected(at) if isinstance(photo, NotDone) else Advanced({"photos": [*photos, str(photo["id"])]})

    async def _create_post(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        post = await self._graph.post(
            f"{delivery.external_account_id}/feed",
            token=delivery.access_token,
            expects="id",
            published="false",
            fields="id,permalink_url",
            **_content(delivery, at.get("photos", ())),
        )
        if isinstance(post, NotDone):
            return post.rejected(at)
        made = {"post": str(post["id"]), "permalink": text_in(post.get("permalink_url"))}
        return Advanced({**at, **made} if "photos" in at else made)

    async def _publish_post(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        answer = await self._graph.post(at["post"], token=delivery.access_token, expects="success", is_published="true")
        if not isinstance(answer, NotDone):
            return Published(at["post"], at["permalink"], self._now())
        # A fresh object may be missing for a moment, to writes as to reads.
        may_come = answer.is_missing and not self._grace.is_over(at)
        return self._grace.pending(at) if may_come else answer.judged(at)


def text_of(delivery: Delivery) -> str:
    """The caption, with the link in it where a post with media has no field for one."""
    link = delivery.link
    if not delivery.media or not link or link in delivery.caption:
        return delivery.caption
    return f"{delivery.caption}\n\n{link}".strip()


def _content(delivery: Delivery, photos: Checkpoint | list[str]) -> dict[str, str]:
    link = {"link": delivery.link} if delivery.link and not delivery.media else {}
    attached = {f"attached_media[{i}]": json.dumps({"media_fbid": photo}) for i, photo in enumerate(photos)}
    return {"message": text_of(delivery), **link, **attached}


def _made(at: Checkpoint) -> dict[str, Any]:
    photos = {"photos": at["photos"]} if "photos" in at else {}
    return {**photos, "post": at["post"], "permalink": at["permalink"]}
