"""Cancels against workers: whoever wins wins cleanly."""

import asyncio

from services.domain.errors import ErrorCode, Refused, TimedOut
from services.domain.posts import PostState
from services.domain.viewers import Viewer
from tests.rig import Rig

ROUNDS = 6
POSTS = 40
TRIES = 3
APART = 0.008
"""Seconds from one cancel to the next: they meet publishing at every stage."""
EARLY = 8 * APART
"""Seconds that the cancels are ahead: all posts are due at once and taken at once, and the last ones are too late."""


async def test_once_a_cancel_said_yes_nothing_goes_out(rig: Rig) -> None:
    """240 cancels against publishing: said yes and never seen, or refused and seen once."""
    won = lost = 0
    for _ in range(ROUNDS):
        viewers = [await rig.add_user() for _ in range(POSTS)]
        accounts = [await rig.add_account(viewer) for viewer in viewers]
        posts = [await rig.schedule_due(*pair) for pair in zip(viewers, accounts, strict=True)]

        canceling = (cancel(rig, *pair, after=APART * i) for i, pair in enumerate(zip(viewers, posts, strict=True)))
        publishing = asyncio.create_task(publish(rig, after=EARLY))
        said_yes = await asyncio.gather(*canceling)
        await publishing

        for is_canceled, account in zip(said_yes, accounts, strict=True):
            assert len(rig.seen(account)) == (0 if is_canceled else 1)
        won, lost = won + sum(said_yes), lost + POSTS - sum(said_yes)
    assert won and lost, "both must happen, or this was no race"


async def publish(rig: Rig, *, after: float) -> None:
    """All that is due then."""
    await asyncio.sleep(after)
    await rig.publish()


async def cancel(rig: Rig, viewer: Viewer, post: PostState, *, after: float) -> bool:
    """Whether the cancel said yes; a no must say why."""
    await asyncio.sleep(after)
    for _ in range(TRIES):
        try:
            await rig.container.posts.cancel_post(viewer, post.post.id, expected_version=None)
        except TimedOut:
            continue  # the row was locked for a second: nothing was changed, so ask again, as a client would
        except Refused as refusal:
            assert refusal.errors[0].code in (ErrorCode.ALREADY_PUBLISHING, ErrorCode.NOT_POSSIBLE_NOW)
            return False
        return True
    raise AssertionError("the post stays locked")
