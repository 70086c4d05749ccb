"""Settling a post: its roll-up, its version, and a state that is the same from every side."""

from collections.abc import Sequence
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from services.domain.accounts import AccountStatus, Platform
from services.domain.ids import new_id
from services.domain.posts import PostStatus, TargetStatus, roll_up
from services.models import ACCOUNTS, MEDIA, TARGETS
from services.queries.media import load_media
from services.queries.posts import find_posts
from services.queries.states import (
    lock_state,
    read_state,
    settle_post,
    settle_posts,
    state_from_json,
    upcoming_rows,
)
from services.queries.targets import load_targets
from tests.services.queries.calendars import ENTRIES, NOON, Entry, store


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statuses=st.lists(st.sampled_from(TargetStatus), max_size=6))
async def test_sql_rolls_up_as_the_domain_does(engine: AsyncEngine, statuses: Sequence[TargetStatus]) -> None:
    """For any statuses of any targets; and the state it gives is what loaders and readers see."""
    async with engine.connect() as c:
        calendar = await store(c, [Entry(0, NOON, NOON, PostStatus.DRAFT, "bread", frozenset())])
        [post_id] = calendar.entries
        owner = calendar.owners[0]
        for position, status in enumerate(statuses):
            account_id = new_id()
            account = {"id": account_id, "user_id": owner, "platform": Platform.YOUTUBE, "handle": "h"}
            names = {"external_id": account_id.hex, "display_name": "d", "status": AccountStatus.CONNECTED}
            await c.execute(insert(ACCOUNTS).values(**account, **names))
            await c.execute(
                insert(TARGETS).values(
                    id=new_id(),
                    post_id=post_id,
                    account_id=account_id,
                    user_id=owner,
                    platform=Platform.YOUTUBE,
                    position=position,
                    calendar_at=NOON,
                    status=status,
                    published_at=NOON if status is TargetStatus.PUBLISHED else None,
                )
            )
        locked = await lock_state(c, post_id, owner=owner)

        state, event = await settle_post(c, post_id, caption="buns")

        assert state.post.status is roll_up(statuses)
        assert state.post.caption == "buns"
        assert locked is not None and state.post.version == locked.state.post.version + 1
        assert state.post.published_at == (NOON if TargetStatus.PUBLISHED in statuses else None)
        assert [target.status for target in state.targets] == list(statuses)
        assert state == state_from_json(event.payload) == await read_state(c, post_id, owner=owner)
        assert state.post == (await find_posts(c, [post_id], owner=owner))[post_id]
        assert state.targets == (await load_targets(c, [post_id]))[post_id]
        assert state.media == (await load_media(c, [post_id]))[post_id]
        assert (event.user_id, event.kind) == (owner, "POST_CHANGED")
        is_to_come = state.post.status not in (
            PostStatus.PUBLISHED,
            PostStatus.PARTIALLY_PUBLISHED,
            PostStatus.FAILED,
            PostStatus.CANCELED,
        )
        upcoming = await upcoming_rows(c, owner=owner, limit=5)
        assert [state_from_json(rows) for rows in upcoming] == ([state] if is_to_come else [])


async def test_a_state_tells_nothing_of_what_workers_keep(engine: AsyncEngine) -> None:
    """Checkpoints and leases stay out of events; somebody else's post is neither read nor locked."""
    async with engine.connect() as c:
        calendar = await store(c, [Entry(0, NOON, NOON, PostStatus.DRAFT, "bread", frozenset({0}))])
        [post_id] = calendar.entries

        _, event = await settle_post(c, post_id)

        [target] = event.payload["targets"]
        assert not target.keys() & {"checkpoint", "lease", "lease_until", "leased_by", "step", "step_shows"}
        assert await read_state(c, post_id, owner=calendar.owners[1]) is None
        assert await lock_state(c, post_id, owner=calendar.owners[1]) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=ENTRIES)
async def test_posts_of_several_people_that_are_settled_together_tell_each_of_their_own_alone(
    engine: AsyncEngine, entries: Sequence[Entry]
) -> None:
    """Each event goes to the post's owner, and holds that post's targets, media and accounts, and nothing else's."""
    async with engine.connect() as c:
        calendar = await store(c, entries)
        owner_of = {post_id: calendar.owners[entry.owner] for post_id, entry in calendar.entries.items()}
        media = {post_id: new_id() for post_id in owner_of}
        shown = {"kind": "IMAGE", "url": "https://example.test/a.jpg", "position": 0}
        await c.execute(insert(MEDIA), [{"id": key, "post_id": post_id, **shown} for post_id, key in media.items()])

        settled = await settle_posts(c, list(owner_of), caption="buns")

        assert {state.post.id for state, _ in settled} == set(owner_of)
        for state, event in settled:
            post_id, entry = state.post.id, calendar.entries[state.post.id]
            accounts = {calendar.accounts[entry.owner, number] for number in entry.accounts}
            assert event.user_id == owner_of[post_id] == UUID(event.payload["post"]["user_id"])
            assert event.tags == (f"posts:{owner_of[post_id].hex}",)
            assert {UUID(row["post_id"]) for row in event.payload["targets"]} <= {post_id}
            assert {UUID(row["account_id"]) for row in event.payload["targets"]} == accounts
            assert {UUID(row["id"]) for row in event.payload["accounts"]} == accounts
            assert [UUID(row["id"]) for row in event.payload["media"]] == [media[post_id]]
            assert state == state_from_json(event.payload) == await read_state(c, post_id, owner=owner_of[post_id])
