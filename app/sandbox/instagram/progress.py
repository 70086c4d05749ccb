"""How far a container is: IN_PROGRESS → FINISHED → PUBLISHED, or ERROR, or EXPIRED after a day unpublished."""

import asyncio
from datetime import datetime, timedelta
from typing import Literal

from app.sandbox.knobs import Polls
from app.sandbox.objects import Container, ContainerKind

LIFETIME = timedelta(hours=24)
FETCH_PATIENCE = 1.0
"""Seconds."""

Status = Literal["IN_PROGRESS", "FINISHED", "PUBLISHED", "ERROR", "EXPIRED"]

_WORDS: dict[Status, str] = {
    "IN_PROGRESS": "In Progress: Media is still being processed.",
    "FINISHED": "Finished: Media has been uploaded and it is ready to be published.",
    "PUBLISHED": "Published: Media has been already published.",
    "EXPIRED": "Expired: Media has been expired.",
}


def polls_of(polls: Polls, kind: ContainerKind, *, is_child: bool) -> int:
    """How often a new container will say IN_PROGRESS."""
    if kind == "VIDEO" and is_child:
        return polls.carousel_video
    by_kind = {"IMAGE": polls.image, "REELS": polls.reel, "STORIES": polls.story, "CAROUSEL": polls.carousel}
    return by_kind.get(kind, 0)


async def await_fetch(container: Container) -> None:
    """Give its videos a moment to come, so that the knob and not chance says how often it is IN_PROGRESS."""
    fetches = [one.fetching for one in (container, *container.children) if one.fetching is not None]
    if fetches:
        await asyncio.wait(fetches, timeout=FETCH_PATIENCE)


def status_of(container: Container, now: datetime) -> Status:
    """Where it stands."""
    if container.is_published:
        return "PUBLISHED"
    if container.is_expired or now - container.created_at > LIFETIME:
        return "EXPIRED"
    if container.failure is not None or any(child.failure is not None for child in container.children):
        return "ERROR"
    return "IN_PROGRESS" if _is_working(container) or any(map(_is_working, container.children)) else "FINISHED"


def poll(container: Container, now: datetime) -> Status:
    """Where it stands as this read sees it; each read brings the end of its processing nearer."""
    if container.stale_reads:
        container.stale_reads -= 1
        return "FINISHED"
    status = status_of(container, now)
    if status == "IN_PROGRESS":
        for one in (container, *container.children):
            one.polls_left = max(0, one.polls_left - (0 if _awaits_bytes(one) else 1))
    return status


def describe(container: Container, status: Status) -> str:
    """The `status` field beside `status_code`; for an ERROR it ends in the subcode."""
    if status != "ERROR":
        return _WORDS[status]
    failures = [one.failure for one in (container, *container.children) if one.failure is not None]
    return f"Error: Media upload has failed with error code {failures[0]}"


def _is_working(container: Container) -> bool:
    return container.polls_left > 0 or _awaits_bytes(container)


def _awaits_bytes(container: Container) -> bool:
    return container.kind != "CAROUSEL" and not container.media and container.failure is None
