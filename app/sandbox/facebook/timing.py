"""Now, later or not yet: what `published` and `scheduled_publish_time` say together."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.sandbox.calls import Call
from app.sandbox.graph.errors import bad_parameter
from app.sandbox.graph.parameters import flag, moment
from app.sandbox.records import Publication
from app.sandbox.world import World

EARLIEST = timedelta(minutes=10)
LATEST = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Timing:
    """When something is to be in front of people: at once, at `due_at`, or not until told."""

    is_published: bool
    due_at: datetime | None


def read_timing(world: World, call: Call) -> Timing:
    """What a call says; a scheduled time needs `published=false` and must lie 10 minutes to 6 months ahead."""
    is_published = flag(call, "published", default=True)
    due_at = moment(call, "scheduled_publish_time")
    if due_at is not None:
        check_due(due_at, world.clock.now())
        if is_published:
            raise bad_parameter("A scheduled post must have published=false.")
    return Timing(is_published, due_at)


def check_due(due_at: datetime, now: datetime) -> None:
    """Raise code 100 for a scheduled time that is too near or too far."""
    if not now + EARLIEST <= due_at <= now + LATEST:
        raise bad_parameter("The specified scheduled publish time is invalid.")


def settle(world: World, publication: Publication, timing: Timing) -> None:
    """Publish it, or keep it as a draft, as the timing says."""
    if timing.is_published:
        world.publish(publication)
        return
    publication.due_at = timing.due_at
    world.add_fresh(publication)
