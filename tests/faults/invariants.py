"""What must be true after every run, from what people see, what the platforms were asked, and what is stored."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import text

from services.domain.posts import AttemptOutcome, TargetStatus
from services.publishing.clearing import DISCARD
from tests.faults.nemeses import Cast
from tests.faults.stage import Stage

FINAL = {TargetStatus.PUBLISHED, TargetStatus.CANCELED}
WAITING = {TargetStatus.SCHEDULED, TargetStatus.RETRYING}
"""No trouble of the programme is the content's, the token's or the permission's, and all of it ends: nothing may end
FAILED, BLOCKED or MISSED, and nothing UNCONFIRMED, for the platforms can be asked; but for a lost upload session."""

LONG_ENOUGH = timedelta(seconds=5)
"""An absence of Redis in which a post would have had all the time it needs."""

STEPS_OF: Mapping[str, tuple[str, ...]] = {
    "instagram.media": ("create_child", "create_container"),
    "instagram.media_publish": ("publish_container",),
    "facebook.photos": ("upload_photo",),
    "facebook.feed": ("create_post",),
    "facebook.update": ("publish_post", "publish_video"),
    "facebook.videos": ("create_video",),
    "facebook.video_reels": ("start_reel", "publish_reel"),
    "facebook.upload": ("upload_reel",),
    "youtube.insert": ("start_upload",),
}
"""The requests that change something on a platform, and the steps that make them."""


@dataclass(frozen=True)
class Evidence:
    """All that is left of a run."""

    targets: Sequence[Any]
    """Rows with the post's `caption` and `scheduled_at` and the account's `external_id`."""
    lines: Mapping[Any, Sequence[Any]]
    """The ledger of each target, in order."""
    slots: Mapping[str, Sequence[Any]]
    untold: int
    """Events that nobody has told."""
    seen: Mapping[str, Sequence[Mapping[str, Any]]]
    """What people see, by account."""
    visits: Counter[str]
    """Requests that reached the platforms, by route."""
    said: Mapping[Any, str]
    """What a person was told last of a post: `canceled`, or the caption that an edit gave it."""
    redis_away: Sequence[tuple[datetime, datetime]]
    strange_ends: Sequence[int]
    lost_sessions: int
    """Uploads to YouTube that it forgot: of a last piece without an answer only the channel's list could tell."""
    limits: Mapping[str, int]
    window: timedelta


Invariant = Callable[[Evidence], Iterator[str]]


def each_post_shows_as_its_end_says(e: Evidence) -> Iterator[str]:
    """PUBLISHED: once. UNCONFIRMED: at most once. Anything else: not at all."""
    for target in e.targets:
        times = len(e.seen.get(target.external_id, ()))
        expected = {TargetStatus.PUBLISHED: (1,), TargetStatus.UNCONFIRMED: (0, 1)}.get(target.status, (0,))
        if times not in expected:
            yield f"{target.caption!r} is {target.status} and shows {times} times"


def every_target_rests(e: Evidence) -> Iterator[str]:
    """In a final state, or waiting with a reason and a time; held by nobody."""
    for target in e.targets:
        if target.lease_until is not None or target.step_shows:
            yield f"{target.caption!r} is {target.status} and still held or in doubt at {target.step}"
        if target.status in FINAL:
            if target.next_attempt_at is not None:
                yield f"{target.caption!r} is {target.status} and due again"
        elif target.status == TargetStatus.UNCONFIRMED and target.platform == "YOUTUBE" and e.lost_sessions:
            continue
        elif target.status not in WAITING:
            yield f"{target.caption!r} ended {target.status}: {target.error_code} {target.error_message}"
        elif target.next_attempt_at is None or target.waiting_code is None:
            yield f"{target.caption!r} is {target.status} and nobody can say why or until when"


def what_was_said_holds(e: Evidence) -> Iterator[str]:
    """A cancel that was granted is one; what went out is what the last granted edit says."""
    for target in e.targets:
        said = e.said.get(target.post_id)
        if said == "canceled" and target.status != TargetStatus.CANCELED:
            yield f"{target.caption!r} was canceled and is {target.status}"
        for one in e.seen.get(target.external_id, ()):
            if one["kind"] != "story" and one["caption"] != (target.caption if said is None else said):
                yield f"{one['caption']!r} went out in place of {target.caption!r}"


def nothing_is_early(e: Evidence) -> Iterator[str]:
    """Not before its time, by the platforms' clock."""
    for target in e.targets:
        for one in e.seen.get(target.external_id, ()):
            if datetime.fromisoformat(one["published_at"]) < target.scheduled_at:
                yield f"{target.caption!r} went out before {target.scheduled_at}"


def what_is_recorded_is_true(e: Evidence) -> Iterator[str]:
    """The platform's own address, never a guess."""
    for target in e.targets:
        addresses = [one["permalink"] for one in e.seen.get(target.external_id, ())]
        if target.status == TargetStatus.PUBLISHED and target.permalink not in addresses:
            yield f"{target.caption!r} is at {addresses}, recorded as {target.permalink}"


def no_window_overflows(e: Evidence) -> Iterator[str]:
    """No span of the window's length holds more publications than the limit allows."""
    shown = defaultdict(list)
    for target in e.targets:
        for one in e.seen.get(target.external_id, ()):
            shown[target.user_id, target.platform].append(datetime.fromisoformat(one["published_at"]))
    for (_, platform), moments in shown.items():
        limit = e.limits[platform]
        moments.sort()
        for first, beyond in zip(moments, moments[limit:], strict=False):
            if beyond - first < e.window:
                yield f"{limit + 1} publications on {platform} within {beyond - first}"


def slots_are_settled(e: Evidence) -> Iterator[str]:
    """What is out counts from its end; nothing counts as running for ever."""
    for target in e.targets:
        slots = e.slots.get(target.id.hex, ())
        if target.status == TargetStatus.PUBLISHED and not slots:
            yield f"{target.caption!r} is out and counts nowhere"
        if any(slot.ended_at is None or slot.ended_at < slot.taken_at for slot in slots):
            yield f"{target.caption!r} is {target.status} and its slot runs for ever"


def the_ledger_is_whole(e: Evidence) -> Iterator[str]:
    """Every attempt has lines, in order, with codes where something failed; no request went out without its line."""
    for target in e.targets:
        lines = e.lines.get(target.id, ())
        missing = set(range(1, target.attempt_count + 1)) - {line.number for line in lines}
        if missing:
            yield f"{target.caption!r} had {target.attempt_count} attempts, and of {missing} there is no line"
        ways = [line for line in lines if line.step != DISCARD]
        if target.status == TargetStatus.PUBLISHED and ways[-1].outcome != AttemptOutcome.SUCCEEDED:
            yield f"{target.caption!r} is out, and its ledger ends {ways[-1].outcome}"
        if any(line.ended_at < line.started_at for line in lines):
            yield f"{target.caption!r} has a step that ended before it began"
        if any(later.number < earlier.number for earlier, later in pairwise(lines)):
            yield f"{target.caption!r} has attempts out of order"
        silent = [line for line in lines if line.outcome in ("FAILED", "UNKNOWN") and not (line.code and line.message)]
        if silent:
            yield f"{target.caption!r} failed without a word at {silent[0].step}"
    written = Counter(line.step for lines in e.lines.values() for line in lines)
    # Who died or lost its lease before anything was stored has a line, but cannot say which first step it was at.
    spare = written["claim"]
    for route, steps in STEPS_OF.items():
        spare -= max(0, e.visits[route] - sum(written[step] for step in steps))
    if spare < 0:
        yield f"the platforms were asked {-spare} times more than the ledger says"


def every_event_was_told(e: Evidence) -> Iterator[str]:
    """The outbox is empty, whatever became of Redis."""
    if e.untold:
        yield f"{e.untold} events were never told"


def it_goes_on_without_redis(e: Evidence) -> Iterator[str]:
    """What comes due while Redis is away, and for long enough, does not wait for it."""
    for target in e.targets:
        for began, ended in e.redis_away:
            was_due_in_time = began <= target.scheduled_at <= ended - LONG_ENOUGH
            shown = [datetime.fromisoformat(one["published_at"]) for one in e.seen.get(target.external_id, ())]
            if was_due_in_time and target.status == TargetStatus.PUBLISHED and not all(at < ended for at in shown):
                yield f"{target.caption!r} was due at {target.scheduled_at} and went out only when Redis was back"


def no_worker_broke(e: Evidence) -> Iterator[str]:
    """Workers end when they are killed or told to, and by nothing else."""
    if e.strange_ends:
        yield f"workers ended by themselves with {e.strange_ends}"


INVARIANTS: Sequence[Invariant] = (
    each_post_shows_as_its_end_says,
    every_target_rests,
    what_was_said_holds,
    nothing_is_early,
    what_is_recorded_is_true,
    no_window_overflows,
    slots_are_settled,
    the_ledger_is_whole,
    every_event_was_told,
    it_goes_on_without_redis,
    no_worker_broke,
)


def violations(evidence: Evidence) -> list[str]:
    """Everything that is not as it must be."""
    return [f"{rule.__name__}: {problem}" for rule in INVARIANTS for problem in rule(evidence)]


async def gather_evidence(stage: Stage, cast: Cast) -> Evidence:
    """Read what a run has left."""
    rig, container = stage.rig, stage.rig.container
    seen = defaultdict(list)
    for one in rig.sandbox.http.get("/control/publications").raise_for_status().json():
        seen[one["account"]].append(one)
    visits = rig.sandbox.http.get("/control/requests").raise_for_status().json()
    lines = defaultdict(list)
    for line in await rig.rows(text("SELECT * FROM attempts ORDER BY id")):
        lines[line.target_id].append(line)
    slots = defaultdict(list)
    for slot in await rig.rows(text("SELECT * FROM quota_slots")):
        slots[slot.delivery].append(slot)
    return Evidence(
        targets=await rig.rows(text(_TARGETS)),
        lines=lines,
        slots=slots,
        untold=len(await rig.rows(text("SELECT id FROM outbox"))),
        seen=seen,
        visits=Counter(visit["route"] for visit in visits),
        said=cast.said,
        redis_away=cast.redis_away,
        lost_sessions=sum(visit["route"] == "youtube.upload" and visit["status"] == 404 for visit in visits),
        strange_ends=tuple(stage.crew.strange_ends),
        limits=container.settings.publication_limits,
        window=container.limits.window("any", next(iter(container.settings.publication_limits))).length,
    )


_TARGETS = """
SELECT t.*, coalesce(t.caption, p.caption) AS caption, p.scheduled_at, a.external_id
FROM post_targets AS t JOIN posts AS p ON p.id = t.post_id JOIN accounts AS a ON a.id = t.account_id
ORDER BY p.scheduled_at, t.id
"""
