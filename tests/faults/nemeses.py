"""All that goes wrong, one small thing each. What a nemesis does and when was drawn before the run: it only strikes."""

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from sqlalchemy import select

from services.domain.changes import PostChanges
from services.domain.errors import ErrorCode, Overloaded, Refused, TimedOut, Unavailable
from services.domain.posts import PostState
from services.domain.viewers import Viewer
from services.models import TARGETS
from tests.faults.processes import Worker
from tests.faults.stage import Stage
from tests.faulty import FaultyNetwork
from tests.rig import now

TOO_LATE = {ErrorCode.ALREADY_PUBLISHING, ErrorCode.NOT_POSSIBLE_NOW, ErrorCode.CONFLICT}


@dataclass
class Cast:
    """Whose posts a run is about, and what that person was told of them."""

    viewer: Viewer
    posts: list[PostState]
    said: dict[Any, str] = field(default_factory=dict)
    redis_away: list[tuple[datetime, datetime]] = field(default_factory=list)
    """From when until when nobody could reach it."""


class Nemesis(Protocol):
    """One trouble of one run."""

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Make it, at its time."""
        ...


@dataclass(frozen=True)
class KillAt:
    """kill -9 of the worker that comes to this step of this post: before, during or after it."""

    step: str
    moment: Literal["before", "during", "after"]
    post: int

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Let the death wait there."""
        death = stage.servers.folder / "deaths" / f"{self.step}.{self.moment}"
        death.write_text(cast.posts[self.post].post.caption)


@dataclass(frozen=True)
class KillSomebody:
    """kill -9 of any worker at any time."""

    worker: int
    after: float

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Kill it."""
        await asyncio.sleep(self.after)
        stage.crew.workers[self.worker].signal(signal.SIGKILL)


@dataclass(frozen=True)
class KillWhenAsked:
    """kill -9 of the worker whose request has come to this route; the platform works on, `slowly`."""

    route: str
    slowly: timedelta

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Make the platform slow, wait for the request, and kill."""
        stage.sandbox.arm(self.route, when="before", action="delay", seconds=self.slowly.total_seconds())
        await _asked(stage, self.route)
        for worker in await _holders(stage):
            worker.signal(signal.SIGKILL)
        await asyncio.sleep(self.slowly.total_seconds())


@dataclass(frozen=True)
class Freeze:
    """A worker that is only slow: it stands still for longer than its leases, and then goes on where it was."""

    worker: int
    after: float
    seconds: float

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Stop it, and let it go on."""
        await asyncio.sleep(self.after)
        worker = stage.crew.workers[self.worker]
        worker.signal(signal.SIGSTOP)
        await asyncio.sleep(self.seconds)
        worker.signal(signal.SIGCONT)


@dataclass(frozen=True)
class FreezeUntilOvertaken:
    """The same for the worker whose request has come to this route: it stands still until another has published."""

    route: str

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Hold the answer back until it stands still, longer than a busy machine takes to tell us of the request, and
        let it go on when something can be seen."""
        stage.sandbox.arm(self.route, when="after", action="delay", seconds=1.5)
        await _asked(stage, self.route)
        frozen = await _holders(stage)
        for worker in frozen:
            worker.signal(signal.SIGSTOP)
        while not stage.sandbox.http.get("/control/publications").json():
            await asyncio.sleep(0.05)
        for worker in frozen:
            worker.signal(signal.SIGCONT)
        await asyncio.sleep(2)  # what it still does must be seen


@dataclass(frozen=True)
class Trouble:
    """A platform in trouble at one route, see `app.sandbox.faults`: it drops, fails, refuses, loses or dawdles."""

    route: str
    fault: Mapping[str, Any]

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Let it wait there for its request."""
        stage.sandbox.arm(self.route, **self.fault)


@dataclass(frozen=True)
class LaggingReads:
    """So many reads of what is fresh still answer as if it had not been written."""

    reads: int

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Turn the platforms' knobs."""
        stage.sandbox.turn(read_lag=self.reads, container_lag=self.reads)


@dataclass(frozen=True)
class RestartPostgres:
    """PostgreSQL is stopped, or killed, and comes back."""

    after: float
    how: Literal["stop", "kill"]
    seconds: float

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """End it, and start it on what it kept."""
        await asyncio.sleep(self.after)
        postgres = stage.servers.postgres
        await asyncio.to_thread(postgres.kill if self.how == "kill" else postgres.stop)
        await asyncio.sleep(self.seconds)
        postgres.start()


@dataclass(frozen=True)
class LoseRedis:
    """Redis is killed and comes back empty, stands still for a while, or forgets everything."""

    after: float
    how: Literal["kill", "freeze", "flush"]
    seconds: float

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Lose it, and bring it back."""
        await asyncio.sleep(self.after)
        redis = stage.servers.redis
        if self.how == "flush":
            await stage.rig.container.backends.gate.client.flushall()
            return
        lose, bring_back = (redis.kill, redis.start) if self.how == "kill" else (redis.freeze, redis.thaw)
        lose()
        began = now()
        await asyncio.sleep(self.seconds)
        cast.redis_away.append((began, now()))
        bring_back()


@dataclass(frozen=True)
class BreakWire:
    """The network before one of the servers is cut, goes silent, loses answers, or is slow for a while."""

    before: Literal["postgres", "redis", "platforms"]
    how: Literal["cut", "hang", "lose_answers", "slow"]
    after: float
    seconds: float

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Break it, and heal it."""
        await asyncio.sleep(self.after)
        network: FaultyNetwork = getattr(stage, f"to_{self.before}")
        match self.how:
            case "cut":
                network.cut()
                return
            case "hang":
                network.hang()
            case "lose_answers":
                network.lose_answers()
            case "slow":
                network.delay = 0.05
        await asyncio.sleep(self.seconds)
        network.heal()


@dataclass(frozen=True)
class StepClock:
    """A worker's wall clock jumps, forward or back."""

    worker: int
    after: float
    by: timedelta

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Turn it."""
        await asyncio.sleep(self.after)
        stage.crew.workers[self.worker].clock_ahead.value = self.by.total_seconds()


@dataclass(frozen=True)
class RollingRestart:
    """Every worker is told to end, one after the other, as in a deployment."""

    after: float
    pause: float

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Ask each in turn."""
        await asyncio.sleep(self.after)
        for worker in list(stage.crew.workers):
            worker.stop()
            await asyncio.sleep(self.pause)


@dataclass(frozen=True)
class Cancel:
    """The person cancels a post, perhaps too late."""

    post: int
    after: float

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Cancel it, and remember the answer."""
        await asyncio.sleep(self.after)
        post_id = cast.posts[self.post].post.id
        if await granted(stage.rig.container.posts.cancel_post(cast.viewer, post_id, expected_version=None)):
            cast.said[post_id] = "canceled"


@dataclass(frozen=True)
class Edit:
    """The person changes a caption, perhaps too late."""

    post: int
    after: float

    async def strike(self, stage: Stage, cast: Cast) -> None:
        """Change it, and remember the answer."""
        await asyncio.sleep(self.after)
        post = cast.posts[self.post].post
        caption = f"{post.caption}, edited"
        changed = stage.rig.container.posts.update_post(
            cast.viewer, post.id, PostChanges(caption=caption), expected_version=post.version
        )
        if await granted(changed):
            cast.said[post.id] = caption


async def _holders(stage: Stage) -> list[Worker]:
    """The workers that hold a target now."""
    held = await stage.rig.rows(select(TARGETS.c.leased_by).where(TARGETS.c.leased_by.is_not(None)))
    return stage.crew.those({row.leased_by for row in held})


async def _asked(stage: Stage, route: str) -> None:
    """Return when a request has come to the route."""
    while not stage.sandbox.http.get("/control/requests", params={"route": route}).json():
        await asyncio.sleep(0.02)


async def granted(answer: Any) -> bool:
    """Whether a person's wish was granted for certain; a refusal must be one that says that it is too late."""
    try:
        await answer
    except (Unavailable, TimedOut, Overloaded):
        return False
    except Refused as refusal:
        assert {error.code for error in refusal.errors} <= TOO_LATE, refusal
        return False
    return True
