"""Publishing to Instagram: create a container, wait until it is finished, publish it, read its permalink.

    (carousel: create_child × n → poll_children →) create_container → poll_container → publish_container

Only `publish_container` shows anything. Whatever it answers but success is asked back, because Instagram is known to
say no to posts that went out; and only ever the same container is published again. What the checkpoint holds:

    children, are_children_finished     a carousel's parts
    container, is_finished              what will be published
    media, published_at                 what was published; only its permalink is still unread
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx

from services.domain.accounts import Platform
from services.domain.options import InstagramKind
from services.domain.publishing import (
    Advanced,
    Checkpoint,
    Delivery,
    Discarded,
    FailureKind,
    Finding,
    Pending,
    Published,
    Rejected,
    Step,
    StepOutcome,
    Unknown,
)
from services.providers.config import PlatformConfig
from services.providers.failures import REFUSAL, START_ANEW, NotDone, not_done, not_out, refused_as
from services.providers.graph import Answer, GraphClient
from services.providers.instagram_containers import (
    ContainerStatus,
    carousel_fields,
    child_fields,
    container_fields,
    processing_failure,
    shape_of,
)
from services.providers.instagram_media import find_media, read_media
from services.providers.instagram_quota import read_quota
from services.providers.instagram_rules import INSTAGRAM_RULES
from services.providers.pacing import GRACE, PROCESSING, READING, Pacing
from services.providers.wire import CALL_TIMEOUT, Wire

CREATE_CHILD = Step("create_child", shows=False)
POLL_CHILDREN = Step("poll_children", shows=False)
CREATE_CONTAINER = Step("create_container", shows=False)
POLL_CONTAINER = Step("poll_container", shows=False)
PUBLISH_CONTAINER = Step("publish_container", shows=True)
READ_PERMALINK = Step("read_permalink", shows=True)
"""Shows nothing more, but it is out already: whoever takes it over must ask."""

NO_ENTRY = (FailureKind.RECONNECT, FailureKind.PERMISSION)
"""With a token that is refused nothing can be done, nor asked about."""


class InstagramProvider:
    """Publishes images, reels, stories and carousels to professional accounts (Instagram Login)."""

    platform = Platform.INSTAGRAM
    forgets = True

    def __init__(
        self,
        *,
        http: httpx.AsyncClient,
        config: PlatformConfig,
        now: Callable[[], datetime],
        timeout: timedelta = CALL_TIMEOUT,
        processing: Pacing = PROCESSING,
        grace: Pacing = GRACE,
        reading: Pacing = READING,
    ) -> None:
        self._graph = GraphClient(
            wire=Wire(http=http, timeout=timeout),
            root=f"{config.hosts.graph}/{config.api_version}",
            rules=INSTAGRAM_RULES,
            now=now,
        )
        self._now = now
        self._processing = processing
        self._grace = grace
        self._reading = reading
        self._acts = {
            CREATE_CHILD: self._create_child,
            POLL_CHILDREN: self._poll_children,
            CREATE_CONTAINER: self._create_container,
            POLL_CONTAINER: self._poll_container,
            PUBLISH_CONTAINER: self._publish_container,
            READ_PERMALINK: self._read_permalink,
        }

    def next_step(self, delivery: Delivery) -> Step:
        """What comes next, by the checkpoint."""
        at = delivery.checkpoint
        if "media" in at:
            return READ_PERMALINK
        if "container" in at:
            return PUBLISH_CONTAINER if at.get("is_finished") else POLL_CONTAINER
        if shape_of(delivery) is not InstagramKind.CAROUSEL or at.get("are_children_finished"):
            return CREATE_CONTAINER
        return CREATE_CHILD if len(at.get("children", ())) < len(delivery.media) else POLL_CHILDREN

    async def perform(self, delivery: Delivery) -> StepOutcome:
        """Do the next step."""
        return await self._acts[self.next_step(delivery)](delivery)

    async def find_out(self, delivery: Delivery) -> Finding:
        """Ask the container, which knows for certain whether it was published."""
        at = delivery.checkpoint
        step = self.next_step(delivery)
        if step is READ_PERMALINK:
            return await self._read_permalink(delivery)
        if not step.shows:
            return Advanced(at)

        status = await self._read_status(delivery, at["container"])
        if isinstance(status, NotDone):
            return await self._find_unread(delivery, status)
        match status["status_code"]:
            case ContainerStatus.PUBLISHED:
                return await self._recognize(delivery)
            case ContainerStatus.EXPIRED:
                return not_out(at, {})
            case ContainerStatus.ERROR:
                return Rejected(processing_failure(status).failure)
            case found:
                if not self._grace.is_over(at):
                    return self._grace.unknown(f"Instagram says {found}; reads may lag behind.", at)
                return not_out(at, _finished(at))

    async def discard(self, checkpoint: Checkpoint, *, token: str) -> Discarded | None:
        """Nothing can be deleted there, nor needs to be."""
        del token
        is_prepared = "container" in checkpoint or "children" in checkpoint
        return (
            Discarded("Instagram forgets a container that nobody publishes within 24 hours.") if is_prepared else None
        )

    async def _create_child(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        children: list[str] = list(at.get("children", ()))
        answer = await self._create(delivery, child_fields(delivery.media[len(children)]))
        return (
            answer.rejected(at)
            if isinstance(answer, NotDone)
            else Advanced({"children": [*children, str(answer["id"])]})
        )

    async def _poll_children(self, delivery: Delivery) -> StepOutcome:
        children = delivery.checkpoint["children"]
        done = {"children": children, "are_children_finished": True}
        for child in children:
            outcome = await self._poll(delivery, child, done)
            if not isinstance(outcome, Advanced):
                return outcome
        return Advanced(done)

    async def _create_container(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        children = at.get("children")
        answer = await self._create(
            delivery, container_fields(delivery) if children is None else carousel_fields(delivery, children)
        )
        return answer.rejected(at) if isinstance(answer, NotDone) else Advanced({"container": str(answer["id"])})

    async def _poll_container(self, delivery: Delivery) -> StepOutcome:
        container = delivery.checkpoint["container"]
        return await self._poll(delivery, container, _finished(delivery.checkpoint))

    async def _publish_container(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        answer = await self._graph.post(
            f"{delivery.external_account_id}/media_publish",
            token=delivery.access_token,
            expects="id",
            creation_id=at["container"],
        )
        if isinstance(answer, NotDone):
            return answer.unknown(at) if answer.failure.left else answer.rejected(at)
        published = {"media": str(answer["id"]), "published_at": self._now().isoformat()}
        return await self._read_permalink(replace(delivery, checkpoint=published))

    async def _read_permalink(self, delivery: Delivery) -> Published | Pending:
        at = delivery.checkpoint
        published_at = datetime.fromisoformat(at["published_at"])
        media = await read_media(self._graph, at["media"], token=delivery.access_token)
        if not isinstance(media, NotDone):
            return Published(media.id, media.permalink, media.published_at or published_at)
        if self._reading.is_over(at):
            return Published(at["media"], None, published_at)
        return self._reading.pending(at)

    async def _create(self, delivery: Delivery, fields: Mapping[str, str]) -> Answer:
        # Asked once for each post, and ahead of its time where it is prepared.
        if not delivery.checkpoint and (refusal := await read_quota(self._graph, delivery)) is not None:
            return refusal
        return await self._graph.post(
            f"{delivery.external_account_id}/media", token=delivery.access_token, expects="id", **fields
        )

    async def _read_status(self, delivery: Delivery, container: str) -> Answer:
        return await self._graph.get(
            container, token=delivery.access_token, expects="status_code", fields="status_code,status"
        )

    async def _poll(self, delivery: Delivery, container: str, done: Checkpoint) -> StepOutcome:
        at = delivery.checkpoint
        status = await self._read_status(delivery, container)
        if isinstance(status, NotDone):
            may_come = status.is_missing and not self._processing.is_over(at)
            return self._processing.pending(at) if may_come else status.rejected(at)
        match status["status_code"]:
            case ContainerStatus.FINISHED:
                return Advanced(done)
            case ContainerStatus.IN_PROGRESS if not self._processing.is_over(at):
                return self._processing.pending(at)
            case ContainerStatus.PUBLISHED:
                return Unknown("Instagram says that the container is published already.", done)
            case ContainerStatus.IN_PROGRESS | ContainerStatus.EXPIRED as stuck:
                return not_done(START_ANEW, f"Instagram's container is {stuck}: a new one is needed.").rejected({})
        return Rejected(processing_failure(status).failure)

    async def _recognize(self, delivery: Delivery) -> Published | Unknown:
        """It is out; which medium is it? Only one that fits alone is taken for it."""
        at = delivery.checkpoint
        found = await find_media(self._graph, delivery)
        if isinstance(found, NotDone):
            return found.ask_later(at)
        if len(found) == 1:
            return Published(found[0].id, found[0].permalink, found[0].published_at or self._now())
        return self._reading.unknown(f"Published on Instagram, but {len(found)} of its media fit this post.", at)

    async def _find_unread(self, delivery: Delivery, status: NotDone) -> Finding:
        """The container says nothing of itself."""
        at = delivery.checkpoint
        if _is_gone(status):
            return await self._find_without_container(delivery)
        if status.failure.kind in NO_ENTRY and status.failure.kind is refused_as(at):
            return not_out(at, _finished(at))  # the token is refused now as it was then
        return status.ask_later(at)

    async def _find_without_container(self, delivery: Delivery) -> Finding:
        at = delivery.checkpoint
        finding = await self._recognize(delivery)
        was_never_there = str(at.get(REFUSAL, {}).get("platform_code")).endswith("/2207006")
        if isinstance(finding, Unknown) and was_never_there and self._grace.is_over(at):
            return not_out(at, {})
        return finding


def _finished(at: Checkpoint) -> dict[str, Any]:
    return {"container": at["container"], "is_finished": True}


def _is_gone(status: NotDone) -> bool:
    return status.is_missing or str(status.failure.platform_code).endswith("/2207006")
