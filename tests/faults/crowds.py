"""Two scenes in which numbers count and nothing breaks: sixty posts of one person at once, and cancels that race."""

import asyncio
from collections import Counter
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import text

from app.container import Container
from services.domain.accounts import Account, Platform
from services.domain.posts import PostState
from services.domain.viewers import Viewer
from tests.faults.nemeses import granted
from tests.faults.runs import settle
from tests.faults.stage import Servers, Stage, set_stage

UNLIMITED = 1_000_000
CALM = timedelta(seconds=45)
"""Nobody dies here: the product's own lease, so that a busy machine ends none."""
AT_ONCE = 6
"""Posts that the programme schedules side by side."""
SPACING = timedelta(milliseconds=20)
"""Between the times of two posts that race: about what one worker needs for one."""
RACERS = 10
"""People whose posts race."""


def eight_workers(servers: Servers, wiring: type[Container]) -> AbstractAsyncContextManager[Stage]:
    """Where sixty at once go out: nothing but the person's hour binds them."""
    return set_stage(
        servers,
        workers=8,
        lease=CALM,
        wiring=wiring,
        direct=True,
        daily_limit_instagram=UNLIMITED,
        worker_concurrency=5,
    )


@dataclass(frozen=True)
class Crowd:
    """What became of many posts of one account: their captions in the order they were due, and as people see them."""

    due: list[str]
    shown: list[tuple[datetime, str]]
    """Oldest first."""
    statuses: Counter[str]
    restless: list[str]
    tries: int
    """How often the one was tried that took the most."""


async def sixty_at_once(
    stage: Stage, *, accounts: int = 1, enough: int | None = None, troubled: int | None = None
) -> Crowd:
    """Sixty Instagram posts of one person, due at the same moment but for their order; watched until nothing moves, or
    until `enough` of them show. Those of one account go one after the other, those of several beside each other. At
    the one of that number the platform fails once."""
    await stage.clear()
    stage.sandbox.turn(instagram_posts_per_day=UNLIMITED)
    viewer = await stage.rig.add_user()
    captions = [f"Number {number:03}" for number in range(60)]
    for first in range(accounts):
        account = await stage.rig.add_account(viewer, Platform.INSTAGRAM)
        await _schedule(stage, viewer, account, captions[first::accounts], sample="sunrise.jpg")
    if troubled is not None:
        stage.sandbox.arm("instagram.media", status=500, match={"caption": captions[troubled]})
    await _let_come(stage, captions, spacing=timedelta(microseconds=1))
    if enough is not None:
        return await _watch(stage, captions, enough)
    restless = await settle(stage, within=150)
    return await _look(stage, captions, restless)


async def race_cancels(stage: Stage, random: Random, *, races: int) -> tuple[Crowd, dict[str, bool]]:
    """So many posts whose person cancels them about when a worker takes them; the answer to each, True for yes."""
    await stage.clear()
    people = [await stage.rig.add_user() for _ in range(RACERS)]  # one's posts go out one by one, and most would wait
    accounts = [await stage.rig.add_account(viewer) for viewer in people]
    answers: dict[str, bool] = {}
    captions = [f"Race {number:05}" for number in range(races)]
    for first in range(0, races, 100):
        batch = captions[first : first + 100]
        posts: dict[str, PostState] = {}
        for number, (viewer, account) in enumerate(zip(people, accounts, strict=True)):
            posts |= await _schedule(stage, viewer, account, batch[number::RACERS])
        start = await _let_come(stage, batch, spacing=SPACING)
        cancels = []
        for number, caption in enumerate(batch):
            moment = start + number * SPACING.total_seconds() + random.uniform(-0.02, 0.15)
            cancels.append(_cancel(stage, people[number % RACERS], posts[caption], moment))
        answers |= dict(zip(batch, await asyncio.gather(*cancels), strict=True))
    restless = await settle(stage)
    return await _look(stage, captions, restless), answers


def lost_races(crowd: Crowd, answers: dict[str, bool]) -> list[str]:
    """The races in which a yes was no cancel, or a no no publication."""
    times = Counter(caption for _, caption in crowd.shown)
    return [
        f"{caption} was {'canceled' if was_granted else 'refused'} and shows {times[caption]} times"
        for caption, was_granted in answers.items()
        if times[caption] != int(not was_granted)
    ]


def overfull(crowd: Crowd, *, limit: int, window: timedelta) -> list[str]:
    """Spans of the window's length with more publications than the limit."""
    moments = [moment for moment, _ in crowd.shown]
    return [
        f"{limit + 1} within {beyond - first}"
        for first, beyond in zip(moments, moments[limit:], strict=False)
        if beyond - first < window
    ]


async def _schedule(
    stage: Stage, viewer: Viewer, account: Account, captions: list[str], **more: Any
) -> dict[str, PostState]:
    posts: dict[str, PostState] = {}
    left = iter(captions)

    async def schedule() -> None:
        for caption in left:
            posts[caption] = await stage.rig.schedule(viewer, account, caption=caption, **more)

    await asyncio.gather(*(schedule() for _ in range(AT_ONCE)))
    return posts


async def _let_come(stage: Stage, captions: list[str], *, spacing: timedelta) -> float:
    """Give the posts their times, in this order, from a moment on that is told on the loop's clock."""
    lead = timedelta(seconds=0.3)
    start = asyncio.get_running_loop().time() + lead.total_seconds()
    await stage.rig.write(text(_COME).bindparams(captions=captions, lead=lead, spacing=spacing))
    return start


async def _cancel(stage: Stage, viewer: Viewer, post: PostState, moment: float) -> bool:
    await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))
    return await granted(stage.rig.container.posts.cancel_post(viewer, post.post.id, expected_version=None))


async def _watch(stage: Stage, captions: list[str], enough: int) -> Crowd:
    deadline = asyncio.get_running_loop().time() + 60
    while True:
        crowd = await _look(stage, captions, [])
        if len(crowd.shown) >= enough or asyncio.get_running_loop().time() > deadline:
            return crowd
        await asyncio.sleep(0.2)


async def _look(stage: Stage, captions: list[str], restless: list[str]) -> Crowd:
    seen = stage.sandbox.http.get("/control/publications").raise_for_status().json()
    rows = await stage.rig.rows(text("SELECT status, attempt_count FROM post_targets"))
    return Crowd(
        due=captions,
        shown=sorted((datetime.fromisoformat(one["published_at"]), one["caption"]) for one in seen),
        statuses=Counter(row.status for row in rows),
        restless=restless,
        tries=max(row.attempt_count for row in rows),
    )


_COME = """
WITH times AS (
    SELECT p.id, statement_timestamp() + CAST(:lead AS interval) + t.place * CAST(:spacing AS interval) AS due
    FROM unnest(CAST(:captions AS text[])) WITH ORDINALITY AS t (caption, place) JOIN posts AS p USING (caption)
), moved AS (
    UPDATE posts SET scheduled_at = times.due FROM times WHERE posts.id = times.id
)
UPDATE post_targets SET calendar_at = times.due, next_attempt_at = times.due
FROM times WHERE post_targets.post_id = times.id
"""
"""From one moment: `clock_timestamp()` would go on from row to row, in the order in which they are found."""
