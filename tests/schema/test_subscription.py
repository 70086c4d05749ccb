"""Subscriptions: the current state first, then every change, in order, each once, the viewer's own only."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import UUID

import orjson
import pytest
from graphql.execution.collect_fields import FieldDetails
from sqlalchemy import update

from schema.build import build_schema
from schema.extensions.error_codes import ErrorCodes
from services.backends.events import channel_of
from services.backends.statements import tally_statements
from services.domain.viewers import Viewer
from services.models import TARGETS
from services.queries.states import read_state, settle_post
from tests.graphql_api import Api, in_hours

ONE = "subscription ($id: ID!) { postChanged(id: $id) { id caption version status targets { status } } }"
ALL = "subscription { postsChanged { id caption version status targets { status } } }"
CHANGE = """
mutation ($input: UpdatePostInput!) { updatePost(input: $input) { post { version } userErrors { code } } }
"""


async def following(events: AsyncIterator[dict[str, Any]]) -> Any:
    """What the next event shows."""
    [shown] = (await asyncio.wait_for(anext(events), 5)).values()
    return shown


async def is_silent(events: AsyncIterator[dict[str, Any]]) -> bool:
    """Whether nothing is told for a while; no more can be read afterwards."""
    try:
        await asyncio.wait_for(anext(events), 0.4)
    except TimeoutError:
        return True
    return False


async def edit(api: Api, viewer: Viewer, post: str, caption: str) -> None:
    """Change a post."""
    answer = await api.data(CHANGE, viewer, input={"id": post, "caption": caption})
    assert answer["updatePost"]["userErrors"] == []


async def publish(api: Api, viewer: Viewer, message: dict[str, Any]) -> None:
    """Say something on the person's channel."""
    await api.services.events.publish(viewer.user.id, orjson.dumps(message, default=str))


async def event_of(api: Api, post: str) -> dict[str, Any]:
    """The event that a change of the post tells, without telling it."""
    async with api.services.database.connect() as c:
        _, event = await settle_post(c, UUID(post.removeprefix("post_")))
    return {"kind": event.kind, "payload": event.payload}


async def test_post_changed_tells_the_state_then_every_change_in_order(api: Api) -> None:
    """With its targets, which nobody reads again."""
    ada = await api.add_person()
    post = await api.schedule(ada, await api.add_account(ada))
    other = await api.schedule(ada, await api.add_account(ada))
    async with aclosing(api.watch(ONE, ada, id=post)) as events:
        first = await following(events)
        assert (first["id"], first["version"], first["targets"]) == (post, 1, [{"status": "SCHEDULED"}])
        await edit(api, ada, other, "not watched")
        for caption in "abc":
            await edit(api, ada, post, caption)
        with tally_statements() as tally:
            told = [await following(events) for _ in range(3)]
        assert [(event["caption"], event["version"]) for event in told] == [("a", 2), ("b", 3), ("c", 4)]
        assert tally.statements == 0


async def test_posts_changed_tells_what_is_to_come_then_all_that_changes(api: Api) -> None:
    """The soonest first; what is out or called off only once it changes."""
    ada = await api.add_person()
    account = await api.add_account(ada)
    later, sooner, gone = [await api.schedule(ada, account, hours=hours) for hours in (3, 2, 1)]
    await api.data("mutation ($id: ID!) { cancelPost(input: {id: $id}) { userErrors { code } } }", ada, id=gone)
    async with aclosing(api.watch(ALL, ada)) as events:
        assert [(await following(events))["id"] for _ in range(2)] == [sooner, later]
        await edit(api, ada, gone, "changed")
        assert (await following(events))["status"] == "CANCELED"
        new = await api.schedule(ada, account)
        assert (await following(events))["id"] == new
        await edit(api, ada, later, "changed")
        assert (await following(events))["caption"] == "changed"


async def test_changes_between_subscribing_and_reading_are_told_once(api: Api) -> None:
    """Whether the state read has them already or not."""
    ada = await api.add_person()
    post = await api.schedule(ada, await api.add_account(ada))
    async with aclosing(api.watch(ONE, ada, id=post)) as events:
        first, *_ = await asyncio.gather(following(events), *(edit(api, ada, post, caption) for caption in "ab"))
        versions = [first["version"]]
        while versions[-1] < 3:
            versions.append((await following(events))["version"])
        assert versions == sorted(set(versions))
        assert await is_silent(events)


async def test_stale_and_repeated_events_are_dropped(api: Api) -> None:
    """By their version, in either subscription."""
    ada = await api.add_person()
    post = await api.schedule(ada, await api.add_account(ada))
    second, third = await event_of(api, post), await event_of(api, post)
    for document, variables in ((ONE, {"id": post}), (ALL, {})):
        async with aclosing(api.watch(document, ada, **variables)) as events:
            assert (await following(events))["version"] >= 3
            for message in (second, third, third, second):
                await publish(api, ada, message)
            fourth = await event_of(api, post)
            await publish(api, ada, fourth)
            await publish(api, ada, third)
            assert (await following(events))["version"] == fourth["payload"]["post"]["version"]
            assert await is_silent(events)


async def test_after_a_gap_what_was_missed_is_told(api: Api) -> None:
    """Also of a post that is no longer among those still to come, and of one that is anew; the rest is not repeated."""
    ada = await api.add_person()
    account = await api.add_account(ada)
    kept, ended, back = [await api.schedule(ada, account, hours=hours) for hours in (1, 2, 3)]
    await move_silently(api, back, "CANCELED")
    async with aclosing(api.watch(ALL, ada)) as events, aclosing(api.watch(ONE, ada, id=ended)) as single:
        assert [(await following(events))["id"] for _ in range(2)] == [kept, ended]
        await following(single)
        await move_silently(api, ended, "PUBLISHED")
        await move_silently(api, back, "SCHEDULED")
        await break_listener(api)
        told = {(event["id"], event["status"]) for event in [await following(events) for _ in range(2)]}
        assert told == {(ended, "PUBLISHED"), (back, "SCHEDULED")}
        assert (await following(single))["status"] == "PUBLISHED"
        assert await is_silent(events)


async def move_silently(api: Api, post: str, status: str) -> None:
    """Change a post so that no event tells of it."""
    async with api.services.database.connect() as c:
        await c.execute(
            update(TARGETS).where(TARGETS.c.post_id == UUID(post.removeprefix("post_"))).values(status=status)
        )
    await event_of(api, post)


async def break_listener(api: Api) -> None:
    """Cut this API's listening connection to Redis; it comes back by itself, with a gap."""
    assert api.services.events._connection is not None
    await api.services.events._connection.disconnect(nowait=True)


async def test_post_changed_ends_with_null_when_the_post_is_deleted(api: Api) -> None:
    """And for the others' watchers nothing happens."""
    ada = await api.add_person()
    post, other = [await api.schedule(ada, await api.add_account(ada)) for _ in range(2)]
    async with aclosing(api.watch(ONE, ada, id=post)) as events, aclosing(api.watch(ALL, ada)) as everything:
        await following(events)
        for _ in range(2):
            await following(everything)
        await api.data("mutation ($id: ID!) { deletePost(input: {id: $id}) { userErrors { code } } }", ada, id=post)
        assert await following(events) is None
        with pytest.raises(StopAsyncIteration):
            await anext(events)
        await edit(api, ada, other, "still told")
        assert (await following(everything))["caption"] == "still told"


@pytest.mark.parametrize("text", ["nonsense", "post_" + "0" * 32, "another's"])
async def test_post_changed_of_what_is_not_ones_own_is_null_and_ends(api: Api, text: str) -> None:
    """Malformed, unknown or somebody else's."""
    ada, ben = await api.add_person(), await api.add_person("Ben")
    post = await api.schedule(ada, await api.add_account(ada))
    shown = [event async for event in api.watch(ONE, ben, id=post if text == "another's" else text)]
    assert shown == [{"postChanged": None}]


async def test_nobody_is_told_of_anothers_posts(api: Api) -> None:
    """Everybody listens to a channel of their own."""
    ada, ben = await api.add_person(), await api.add_person("Ben")
    post = await api.schedule(ada, await api.add_account(ada))
    async with aclosing(api.watch(ALL, ben)) as events:
        told = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.1)
        await edit(api, ada, post, "secret")
        own = await api.schedule(ben, await api.add_account(ben), scheduledAt=in_hours(1))
        assert (await asyncio.wait_for(told, 5))["postsChanged"]["id"] == own
    assert channel_of(ada.user.id) != channel_of(ben.user.id)


async def test_each_change_is_read_anew(api: Api) -> None:
    """Nothing that an earlier event read is shown by a later one."""
    ada = await api.add_person()
    account = await api.add_account(ada)
    post = await api.schedule(ada, account)
    document = "subscription ($id: ID!) { postChanged(id: $id) { targets { account { posts { totalCount } } } } }"
    async with aclosing(api.watch(document, ada, id=post)) as events:
        assert (await following(events))["targets"][0]["account"]["posts"]["totalCount"] == 1
        await api.schedule(ada, account)
        await edit(api, ada, post, "changed")
        assert (await following(events))["targets"][0]["account"]["posts"]["totalCount"] == 2


async def test_telling_of_a_change_reads_nothing_where_the_post_itself_is_asked_for(api: Api) -> None:
    """With its targets, their accounts and its media: a thousand changes in one second wait for no database."""
    ada = await api.add_person()
    post = await api.schedule(ada, await api.add_account(ada), await api.add_account(ada))
    document = "subscription { postsChanged { caption media { url } targets { status account { handle status } } } }"
    async with aclosing(api.watch(document, ada)) as events:
        assert len((await following(events))["targets"]) == 2
        await edit(api, ada, post, "changed")
        with tally_statements() as tally:
            told = await following(events)
        assert told["caption"] == "changed"
        assert [target["account"]["status"] for target in told["targets"]] == ["CONNECTED"] * 2
        assert tally.statements == 0


async def test_events_carry_no_tokens(api: Api) -> None:
    """An account rides along without what only workers may know; and nobody's but the post's own."""
    ada, ben = await api.add_person(), await api.add_person("Ben")
    await api.schedule(ben, await api.add_account(ben))
    await api.schedule(ada, await api.add_account(ada))
    account = await api.add_account(ada, access_token=b"sealed-token", refresh_token=b"sealed-refresh")
    post = await api.schedule(ada, account)
    async with api.services.events.subscribe(ada.user.id) as feed:
        await edit(api, ada, post, "changed")
        event = await asyncio.wait_for(anext(feed), 5)
    assert isinstance(event, bytes)
    [told] = orjson.loads(event)["payload"]["accounts"]
    assert told["handle"].startswith("@")
    assert not {"access_token", "refresh_token", "scopes"} & told.keys()
    async with api.services.database.connect() as c:
        state = await read_state(c, UUID(post.removeprefix("post_")), owner=None)
    assert state is not None
    assert [shown.id for shown in state.accounts] == [account]


async def test_events_of_an_older_release_are_told_whole(api: Api) -> None:
    """What their rows lack is read."""
    ada = await api.add_person()
    post = await api.schedule(ada, await api.add_account(ada, expiry_warning=7))
    document = "subscription { postsChanged { caption targets { status account { status expiryWarning } } } }"
    async with aclosing(api.watch(document, ada)) as events:
        before = await following(events)
        assert before["targets"][0]["account"] == {"status": "CONNECTED", "expiryWarning": 7}
        message = await event_of(api, post)
        del message["payload"]["accounts"]
        await publish(api, ada, message)
        assert await following(events) == before


async def test_events_that_were_told_leave_nothing_behind(api: Api) -> None:
    """A subscription may last for weeks: what graphql-core works out for one event serves the next."""
    ada = await api.add_person()
    post = await api.schedule(ada, await api.add_account(ada))
    document = "subscription ($id: ID!) { postChanged(id: $id) { author { name } targets { account { handle } } } }"

    def remembered() -> int:
        return sum(type(each) is FieldDetails for each in gc.get_objects())

    async with aclosing(api.watch(document, ada, id=post)) as events:
        for caption in "ab":
            await following(events)
            await edit(api, ada, post, caption)
        await following(events)
        before = remembered()
        for caption in "cdefg":
            await edit(api, ada, post, caption)
            await following(events)
        assert remembered() <= before  # fewer where what other tests left is collected meanwhile


async def test_mistakes_in_variables_are_told_as_of_queries(api: Api) -> None:
    """Without suggestions where there are none, and only the first of many."""
    document = """subscription ($by: PostOrder!, $of: PostFilter) {
        postsChanged { targets { account { posts(orderBy: $by, filter: $of) { totalCount } } } } }"""
    closed = build_schema(extensions=[ErrorCodes], field_suggestions=False)
    for variables in ({"by": "CREATED_AT_AS"}, {"by": "CREATED_AT_ASC", "of": {f"statuse{n}": 1 for n in range(60)}}):
        async with api.context(await api.add_person()) as context:
            answers = await closed.subscribe(document, variable_values=variables, context_value=context)
            [answer] = [each async for each in answers]
        assert 1 <= len(answer.errors) <= 6
        assert "Did you mean" not in str(answer.errors)
