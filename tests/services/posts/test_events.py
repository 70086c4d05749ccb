"""What watchers are told of a post's changes."""

import asyncio
from typing import Any

import orjson

from services.domain.changes import PostChanges
from services.domain.errors import ErrorCode
from services.domain.posts import PostStatus
from services.queries.states import state_from_json
from tests.rig import Rig, refused


async def test_events_tell_every_state_whole_and_in_order(rig: Rig) -> None:
    """Schedule, edit, publish, delete: each version once, each payload the state that the writer got."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    posts = rig.container.posts
    async with rig.container.backends.events.subscribe(ada.user.id) as events:
        created = await rig.schedule(ada, account)
        edited = await posts.update_post(ada, created.post.id, PostChanges(caption="New"), expected_version=None)
        moved = await posts.publish_post_now(ada, created.post.id, expected_version=None)
        await rig.publish()
        done = await rig.state(created)
        await posts.delete_post(ada, created.post.id)
        told = await heard(events, until=b"POST_DELETED")

    assert told[-1] == {"kind": "POST_DELETED", "payload": {"id": created.post.id.hex}}
    states = [state_from_json(event["payload"]) for event in told[:-1]]
    assert states[:3] == [created, edited, moved]
    assert states[-1] == done
    assert [state.post.version for state in states] == list(range(1, done.post.version + 1))
    assert [state.post.status for state in states[3:]] == [PostStatus.PUBLISHING, PostStatus.PUBLISHED]


async def test_a_refused_change_tells_nobody(rig: Rig) -> None:
    """No event of what did not happen."""
    ada = await rig.add_user()
    post = await rig.schedule(ada, await rig.add_account(ada))
    async with rig.container.backends.events.subscribe(ada.user.id) as events:
        with refused(ErrorCode.CAPTION_REQUIRED, "caption"):
            await rig.container.posts.update_post(ada, post.post.id, PostChanges(caption=""), expected_version=None)
        await rig.container.posts.delete_post(ada, post.post.id)
        assert len(await heard(events, until=b"POST_DELETED")) == 1


async def heard(events: Any, *, until: bytes) -> list[dict[str, Any]]:
    """What is told up to the event of this kind."""
    told: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        async for event in events:
            told.append(orjson.loads(event))
            if until in event:
                break
    return told
