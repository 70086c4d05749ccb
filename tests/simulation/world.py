"""One post, some workers, a platform in trouble, and a person who may change their mind: one seed, one course."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any

import httpx
import structlog

from app.container import PATIENCE
from app.settings import Settings, milliseconds
from services.backends.secrets import SecretBox
from services.domain.accounts import Platform
from services.domain.ids import new_id
from services.domain.posts import Media, MediaKind, TargetStatus
from services.providers.config import PlatformConfig
from services.providers.facebook import FacebookProvider
from services.providers.instagram import InstagramProvider
from services.publishing.endings import Ending, Endings
from services.publishing.publisher import Publisher
from services.publishing.retry import RetryPolicy
from services.publishing.runs import Run
from services.queries.claims import Claim
from tests.simulation.platform import Died, ScriptedPlatform
from tests.simulation.target import Target
from tests.simulation.virtual_time import now, run

LEASE = milliseconds(Settings.model_fields["publish_lease"].default)
KNOWN_WITHIN = timedelta(minutes=2)
"""With the lease and the patience that the product has, which are those of every course here."""
BLOWS_TOO_MANY = 3
"""So many workers died or stood still over one post: then patience may end though the platform answers."""
LONGEST = 3_600.0 * 4
"""Virtual seconds until everything has come to rest."""

SECRETS = SecretBox(keys=("a key of the simulation that is long enough",))
ACCOUNT = new_id()
TOKEN = SECRETS.seal("token", place=f"accounts|{ACCOUNT}|access_token")
PICTURE = Media(new_id(), new_id(), MediaKind.IMAGE, "https://example.com/a.jpg", 0)


class Breakerless:
    """Lets every call pass: breakers have a model test of their own."""

    async def execute(self, name: str, fn: Any, *, judge: object) -> Any:
        """What `fn` returns."""
        del name, judge
        return await fn()


class Worker:
    """One worker over one claim: its record stumbles as chance wants it, and its lease is renewed while it runs."""

    def __init__(self, target: Target, platform: ScriptedPlatform, random: Random) -> None:
        self._target = target
        self._platform = platform
        self._random = random
        self._is_still = False

    async def work(self, publisher: Publisher) -> None:
        """Claim the target and take it as far as it goes; raises Died where the worker does."""
        claim = self._target.claim()
        renewing = asyncio.create_task(self._renew(claim))
        try:
            await publisher.publish(claim)
        except Exception:  # noqa: S110 - as the worker's loop: the lease runs out, and somebody asks
            pass
        finally:
            renewing.cancel()

    async def begin(self, run: Run) -> bool:
        """The product's `Recorder.begin`, with stumbling."""
        await self._stumble()
        is_held = self._target.begin(run)
        await self._stumble()
        return is_held

    async def let_go(self, run: Run, ending: Ending) -> bool:
        """The product's `Recorder.let_go`, with stumbling."""
        await self._stumble()
        is_held = self._target.let_go(run, ending)
        await self._stumble()
        return is_held

    async def leave_unsaved(self, run: Run) -> None:
        """The product's `Recorder.leave_unsaved`: what is taken away later shows nothing here."""

    async def _stumble(self) -> None:
        """Now and then the worker dies here, stands still for longer than its lease, or finds the database away."""
        if self._platform.troubles == 0 or self._random.random() < 0.9:
            return
        self._platform.troubles -= 1
        self._platform.note_blow()
        match self._random.randrange(3):
            case 0:
                raise Died
            case 1:
                self._is_still = True
                await asyncio.sleep(self._random.uniform(30, 120))
                self._is_still = False
            case _:
                raise ConnectionError("the database is away")

    async def _renew(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(5)
            if not self._is_still:
                self._target.renew(claim)


class World:
    """All that one seed brings about."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - repeatable, not secret
        self.platform = ScriptedPlatform(self.random)
        kind = self.random.choice([Platform.INSTAGRAM, Platform.FACEBOOK])
        media = (PICTURE,) if kind is Platform.INSTAGRAM else ()
        due = now() + timedelta(seconds=self.random.uniform(0, 5))
        self.target = Target(kind, f"seed {seed}", TOKEN, due, LEASE, now, ACCOUNT, media)
        self.http = httpx.AsyncClient(transport=self.platform)
        self.answers: list[bool] = []
        """What the person was told who wanted to cancel it."""
        self.doubts: list[timedelta] = []
        """How long it stayed open, each time, whether it is out, after the last worker that died or stood still."""
        self._running: set[asyncio.Task[None]] = set()

    async def go(self) -> None:
        """Until everything has come to rest."""
        attendants = [asyncio.create_task(self._watch_doubt())]
        if self.random.random() < 0.3:
            attendants.append(asyncio.create_task(self._change_mind()))
        while self._running or self.target.row.status not in AT_REST:
            if asyncio.get_running_loop().time() > LONGEST:
                raise AssertionError(f"no rest: {self.target.row}")
            self.target.rescue()
            if self.target.is_due:
                self._start()
            await asyncio.sleep(1)
        await self.platform.rest()
        for attendant in attendants:
            attendant.cancel()

    def _start(self) -> None:
        worker = Worker(self.target, self.platform, self.random)
        task = asyncio.create_task(worker.work(self._publisher(worker)))
        self._running.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        task.exception()  # it died, and nobody asks how

    async def _change_mind(self) -> None:
        await asyncio.sleep(self.random.uniform(0, 90))
        self.answers.append(self.target.cancel())

    async def _watch_doubt(self) -> None:
        began = None
        while True:
            if self.target.row.step_shows and began is None:
                began = now()
            if not self.target.row.step_shows and began is not None:
                self.doubts.append(now() - max(began, (self.platform.blows or [began])[-1]))
                began = None
            await asyncio.sleep(0.5)

    def _publisher(self, worker: Worker) -> Publisher:
        """The product's, with the product's clients, policies and patience."""
        config = {
            platform: PlatformConfig.of(platform, client_id="us", client_secret="ours", base_url="http://platform")
            for platform in (Platform.INSTAGRAM, Platform.FACEBOOK)
        }
        shared: dict[str, Any] = {"http": self.http, "now": now}
        return Publisher(
            recorder=worker,  # type: ignore[arg-type] # writes to memory
            providers={
                Platform.INSTAGRAM: InstagramProvider(config=config[Platform.INSTAGRAM], **shared),
                Platform.FACEBOOK: FacebookProvider(config=config[Platform.FACEBOOK], **shared),
            },
            breakers=Breakerless(),  # type: ignore[arg-type] # has their one method
            secrets=SECRETS,
            endings=Endings(now=now, random=self.random.random, retry=RetryPolicy(), patience=PATIENCE),
            media_url=lambda url: url,
            now=now,
            lease_for=LEASE,
        )


AT_REST = {
    TargetStatus.PUBLISHED,
    TargetStatus.CANCELED,
    TargetStatus.UNCONFIRMED,
    TargetStatus.FAILED,
}


@contextmanager
def in_silence() -> Iterator[None]:
    """Nothing is logged: rendering the traceback of a foreseen trouble takes longer than its whole course."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


def simulate(seed: int) -> World:
    """The whole course of a seed, in no time."""

    async def course() -> World:
        world = World(seed)
        await world.go()
        return world

    return run(course())


def violations(world: World) -> list[str]:
    """What must hold at the end of every course."""
    target, platform, row = world.target, world.platform, world.target.row
    times = len(platform.shown)
    found = []
    if row.status is TargetStatus.UNCONFIRMED:
        could_ask = platform.mute == 0 and len(platform.blows) < BLOWS_TOO_MANY
        found += ["UNCONFIRMED, though the platform could have been asked"] if could_ask else []
        found += [f"UNCONFIRMED, and shows {times} times"] if times > 1 else []
    elif times != int(row.status is TargetStatus.PUBLISHED):
        found.append(f"{row.status}, and shows {times} times")
    if row.status is TargetStatus.FAILED:
        found.append("FAILED, though no trouble was for good")
    if any(world.answers) and row.status is not TargetStatus.CANCELED:
        found.append(f"canceled, and {row.status}")
    if row.lease_until is not None or row.step_shows or row.next_attempt_at is not None:
        found.append(f"not at rest: {row}")
    if row.status is TargetStatus.PUBLISHED and row.platform_post_id not in [one.id for one in platform.shown]:
        found.append("recorded with an id that is nobody's")
    if target.slot != ("free" if row.status is TargetStatus.CANCELED and not times else "ended"):
        found.append(f"{row.status}, and its slot is {target.slot}")
    if platform.mute == 0 and any(doubt > KNOWN_WITHIN for doubt in world.doubts):
        found.append(f"in doubt for {max(world.doubts)}")
    found += _gaps(world)
    return found


def _gaps(world: World) -> list[str]:
    """What the ledger does not tell."""
    ledger, row = world.target.ledger, world.target.row
    numbers = [line.number for line in ledger]
    found = []
    if set(range(1, row.attempt_count + 1)) - set(numbers):
        found.append(f"{row.attempt_count} attempts, and lines of {sorted(set(numbers))}")
    if any(later.ended_at < earlier.ended_at for earlier, later in pairwise(ledger)):
        found.append("the ledger is out of order")
    steps = [line.step for line in ledger]
    made = steps.count("create_container") + steps.count("create_post")
    shown = steps.count("publish_container") + steps.count("publish_post")
    asked, spare = world.platform.asked, steps.count("claim")
    spare -= max(0, asked["media"] + asked["feed"] - made)
    spare -= max(0, asked["media_publish"] + asked["update"] - shown)
    if spare < 0:
        found.append(f"{-spare} requests without a line")
    return found
