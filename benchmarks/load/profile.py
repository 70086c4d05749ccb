"""What people do: 80 % pages, 10 % single posts, 5 % mutations, 5 % subscriptions, arriving by chance at a steady rate.

Arrivals do not wait for answers, and a time counts from the moment the request was due: a server that stalls is not
spared the requests that would have come meanwhile.
"""

import asyncio
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from benchmarks.load.client import Wires, watch
from benchmarks.load.people import Person

PAGE = """query Calendar($to: DateTime, $after: String) { posts(first: 50, after: $after, filter: {scheduledTo: $to}) {
  nodes { id caption link status scheduledAt publishedAt createdAt version
    targets { id platform status permalink attemptCount account { id handle displayName avatarUrl } }
    media { id kind url altText width height } }
  pageInfo { hasNextPage endCursor } } }"""
POST = """query One($id: ID!) { post(id: $id) { id caption status scheduledAt version
  targets { id status permalink account { handle } lastError { code message } } media { url } } }"""
SCHEDULE = """mutation Plan($input: SchedulePostInput!) { schedulePost(input: $input) {
  post { id status version } userErrors { code message } } }"""
MIX = (("page", 80), ("post", 10), ("mutation", 5), ("subscription", 5))
MOST_UNDER_WAY = 3_000
"""Beyond this the generator gives up on the server, not on itself."""


@dataclass
class Tally:
    """What a stretch of load came to: seconds by kind, and failures."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def answered(self) -> int:
        """How many ended well."""
        return sum(map(len, self.seconds.values()))

    @property
    def failed(self) -> float:
        """The share that did not."""
        lost = self.failures.total()
        return lost / max(1, lost + self.answered)

    def percentile(self, kind: str, share: float) -> float:
        """In milliseconds; endless where nothing was answered."""
        found = sorted(self.seconds[kind])
        return 1000 * found[min(len(found) - 1, int(share * len(found)))] if found else float("inf")


async def press(wires: Wires, people: list[Person], *, rate: float, seconds: float, random: Random) -> Tally:
    """Load at `rate` per second for so long, and then until all of it has been answered."""
    tally = Tally()
    under_way: set[asyncio.Task[None]] = set()
    due = began = time.perf_counter()
    kinds, weights = zip(*MIX, strict=True)
    while due - began < seconds:
        due += random.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        [kind] = random.choices(kinds, weights)
        if len(under_way) >= MOST_UNDER_WAY:
            tally.failures[kind] += 1
            continue
        task = asyncio.create_task(_do(tally, wires, kind, random.choice(people), due=due, chance=random.random()))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    return tally


async def _do(tally: Tally, wires: Wires, kind: str, person: Person, *, due: float, chance: float) -> None:
    try:
        if kind == "subscription":
            late = time.perf_counter() - due
            tally.seconds[kind].append(late + await watch(wires.next_port(), person.token, hold=1.0))
            return
        async with asyncio.timeout(10):
            is_well = await wires.ask(person.token, *_operation(kind, person, chance))
    except Exception:
        is_well = False
    if is_well:
        tally.seconds[kind].append(time.perf_counter() - due)
    else:
        tally.failures[kind] += 1


def _operation(kind: str, person: Person, chance: float) -> tuple[str, dict[str, object]]:
    """Every second page is one that was asked before; the others are new, and no cache has them."""
    if kind == "post":
        return POST, {"id": person.posts[int(chance * len(person.posts))]}
    if kind == "mutation":
        at = datetime.now(UTC) + timedelta(days=30 + 60 * chance)
        return SCHEDULE, {
            "input": {"caption": "Fresh bread", "accountIds": [person.account], "scheduledAt": at.isoformat()}
        }
    later = timedelta(0) if chance < 0.5 else timedelta(seconds=100_000 * chance)
    return PAGE, {"to": (datetime(2090, 1, 1, tzinfo=UTC) + later).isoformat()}
