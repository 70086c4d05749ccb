"""What a run is made of, drawn from its seed: the posts, and what goes wrong over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from random import Random
from typing import Any, Literal

from tests.faults.nemeses import (
    BreakWire,
    Cancel,
    Edit,
    Freeze,
    KillAt,
    KillSomebody,
    LaggingReads,
    LoseRedis,
    Nemesis,
    RestartPostgres,
    RollingRestart,
    StepClock,
    Trouble,
)
from tests.faults.processes import FIND_OUT
from tests.faults.wiring import LEASE, SLOW_TAIL
from tests.services.publishing.kinds import KINDS

WORKERS = 3
POSTS = 7

Moment = Literal["before", "during", "after"]
MOMENTS: Sequence[Moment] = ("before", "during", "after")

SHOWING = {
    "image": "instagram.media_publish",
    "reel": "instagram.media_publish",
    "story": "instagram.media_publish",
    "carousel": "instagram.media_publish",
    "text": "facebook.update",
    "photos": "facebook.update",
    "video": "facebook.update",
    "facebook reel": "facebook.video_reels",
    "youtube": "youtube.upload",
}
"""The route of the step that shows each kind of post."""
IS_FINISH = {"facebook.video_reels": {"upload_phase": "finish"}}


@dataclass(frozen=True)
class Plan:
    """One run; what a seed stands for."""

    name: str
    kinds: Sequence[str]
    dues: Sequence[float]
    """Seconds after the beginning at which each post is due."""
    nemeses: Sequence[Nemesis]


@dataclass(frozen=True)
class Death:
    """A step of a kind of post, and when to die of it."""

    kind: str
    step: str
    moment: Moment


def every_death() -> list[Death]:
    """A kill at every step of every provider, asking what became of it included."""
    return [
        Death(kind, step, moment)
        for kind, one in KINDS.items()
        for step in [*dict.fromkeys(step for step, _ in groupby(one.steps.split())), FIND_OUT]
        for moment in MOMENTS
    ]


def draw_plan(seed: int) -> Plan:
    """The run of this seed. As many seeds in a row as there are deaths meet all of them."""
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    deaths = every_death()
    death = deaths[seed % len(deaths)]
    kinds = [death.kind, *random.choices(list(KINDS), k=POSTS - 1)]
    dues = [random.uniform(0.5, 2.5) for _ in kinds]
    nemeses: list[Nemesis] = [KillAt(death.step, death.moment, post=0)]
    if death.step == FIND_OUT:
        nemeses.append(_dropped(death.kind, random))
    nemeses += [_draw_trouble(random, kinds) for _ in range(random.randint(1, 3))]
    nemeses.append(_draw_outage(random))
    if random.random() < 0.5:
        nemeses.append(Cancel(post=1, after=dues[1] + random.uniform(-0.2, 0.6)))
    if random.random() < 0.5:
        nemeses.append(Edit(post=2, after=dues[2] + random.uniform(-0.3, 0.3)))
    return Plan(f"seed {seed}", kinds, dues, nemeses)


def _dropped(kind: str, random: Random) -> Nemesis:
    when = random.choice(["before", "after"])
    return _trouble(SHOWING[kind], when=when, action="drop")


def _trouble(route: str, **fault: Any) -> Trouble:
    return Trouble(route, {"match": IS_FINISH.get(route, {}), **fault})


def _draw_trouble(random: Random, kinds: Sequence[str]) -> Nemesis:
    """A platform's own trouble, at the step that shows one of the posts or at any other."""
    route = SHOWING[random.choice(kinds)]
    return random.choice(
        [
            _trouble(route, when="before", action="drop"),
            _trouble(route, when="after", action="drop"),
            _trouble(route, when="before", status=500),
            _trouble(route, when="after", status=500),
            _trouble(route, when="after", preset="bad_gateway"),
            _trouble(route, when=random.choice(["before", "after"]), status=429, headers={"Retry-After": "1"}),
            _trouble(route, when="before", action="delay", seconds=SLOW_TAIL.total_seconds()),
            _trouble(route, when="after", action="delay", seconds=SLOW_TAIL.total_seconds()),
            _trouble("instagram.media_publish", when="after", preset="action_blocked"),
            _trouble("instagram.media", when="after", action="drop"),
            _trouble("facebook.feed", when="after", action="drop"),
            _trouble("youtube.upload", action="short_range", keep_bytes=256 * 1024),
            _trouble("youtube.upload", action="lose_session"),
            _trouble("*", when="after", status=500, times=3),
            LaggingReads(random.randint(1, 3)),
        ]
    )


def _draw_outage(random: Random) -> Nemesis:
    """Trouble of everything that is not a platform."""
    worker, after, seconds = random.randrange(WORKERS), random.uniform(0.5, 2.5), random.uniform(0.3, 1.5)
    return random.choice(
        [
            KillSomebody(worker, after),
            KillSomebody(worker, after),
            Freeze(worker, after, LEASE.total_seconds() + seconds),
            RestartPostgres(after, random.choice(["stop", "kill"]), seconds / 2),
            LoseRedis(after, random.choice(["kill", "freeze", "flush"]), seconds),
            BreakWire(
                random.choice(["postgres", "redis", "platforms"]),
                random.choice(["cut", "hang", "lose_answers", "slow"]),
                after,
                seconds,
            ),
            StepClock(worker, after, timedelta(hours=random.choice([-24, -1, 1, 24]))),
            RollingRestart(after, seconds / 3),
        ]
    )
