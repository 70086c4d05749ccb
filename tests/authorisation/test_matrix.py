"""Every field, mutation and subscription, asked by everybody over HTTP, against the rules in rules.toml.

The cases come from the schema: each way from a root field to a leaf (roads.py) for each asker. A field without a rule
fails, and so does one whose root nobody has said how to ask for.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import orjson
from graphql import GraphQLInterfaceType, GraphQLObjectType, is_required_argument
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from services.domain.accounts import Platform
from services.domain.ids import Kind
from services.domain.viewers import Viewer
from tests.authorisation.roads import SCHEMA, Road, Stop, plan, read
from tests.authorisation.rules import ASKERS, NO, REFUSALS, RULES, TWICE, YES, expected
from tests.authorisation.wishes import WISHES
from tests.authorisation.world import EMPTY, World, a_jwt
from tests.graphql_api import account_id, user_id
from tests.ownership import digest_all

KINDS = {
    Kind.USER: "User",
    Kind.ACCOUNT: "Account",
    Kind.POST: "Post",
    Kind.TARGET: "PostTarget",
    Kind.MEDIA: "Media",
    Kind.ATTEMPT: "Attempt",
}


def test_every_field_has_one_rule() -> None:
    """Whoever adds a field decides who may see it; whoever removes one removes its rule."""
    fields = {
        f"{kind.name}.{name}"
        for kind in SCHEMA.type_map.values()
        if isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType)) and not kind.name.startswith("__")
        for name in kind.fields
    }
    assert {place.partition("(")[0] for place in RULES} == fields
    assert TWICE == []


def questions(world: World) -> Iterator[tuple[str, str, str | None]]:
    """How to ask for each field of Query: its place, its arguments, and which of several types is meant."""
    ada = user_id(world.ada)
    for kind, name in KINDS.items():
        ids = world.ids(kind)
        yield from (("Query.node", f'(id: "{one}")', name) for one in ids)
        yield "Query.nodes", f"(ids: {orjson.dumps(ids).decode()})", name
    yield "Query.post", f'(id: "{world.post}")', None
    for key in world.accounts.values():
        yield "Query.account", f'(id: "{account_id(key)}")', None
    for platform in (Platform.FACEBOOK, Platform.INSTAGRAM):
        yield "Query.circuitBreaker", f'(name: "{platform.breaker}")', None
    for name in ("posts", "accounts"):
        yield f"Query.{name}", "(first: 3)", None
        yield f"Query.{name}(filter.userId)", f'(first: 3, filter: {{userId: "{ada}"}})', None
    yield "Query.users", '(first: 3, filter: {search: "Ada"})', None
    yield "Query.auditLog", "(first: 3)", None
    yield "Query.rateLimit", "(platform: FACEBOOK)", None
    yield "Query.rateLimits", f'(userId: "{ada}")', None
    for name in ("viewer", "health", "circuitBreakers", "cacheStats", "queue", "workers", "failures", "accountGroups"):
        yield f"Query.{name}", "", None


class Findings:
    """What every asker was shown on each road, and what does not fit the rules."""

    def __init__(self) -> None:
        self._roads: set[Road] = set()
        self._shown: dict[tuple[str, Road], str] = {}

    def note(self, asker: str, stop: Stop, verdict: str, leaves: Iterator[tuple[Road, str]]) -> None:
        """One answer: a refusal, or leaves, of which Ada's and nobody's count."""
        self._roads |= set(stop.roads())
        for road in stop.roads():
            if self._shown.get((asker, road)) != YES:
                self._shown[asker, road] = verdict
        for road, whose in leaves:
            if whose in ("", "Ada"):
                self._shown[asker, road] = YES

    def misfits(self) -> list[str]:
        """Where somebody got something else than the rules say."""
        return [
            f"{asker}, {' → '.join(road)}: {self._shown[asker, road]}, not {wanted}"
            for asker in ASKERS
            for road in sorted(self._roads)
            if (wanted := expected(asker, road)) != self._shown[asker, road]
        ]

    def roots(self) -> set[str]:
        """Where the roads begin."""
        return {road[0].partition("(")[0] for road in self._roads}

    def __len__(self) -> int:
        return len(self._roads)


def roots_of(kind: GraphQLObjectType | None) -> set[str]:
    """All fields of a root."""
    assert kind is not None
    return {f"{kind.name}.{name}" for name in kind.fields}


def name_of(stop: Stop) -> str:
    """The root field's own name."""
    return stop.place.partition("(")[0].partition(".")[2]


def verdict_of(answer: dict[str, Any]) -> str:
    """What an answer's errors say; no errors are a no, unless something is shown."""
    codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
    assert codes <= set(REFUSALS), answer
    return REFUSALS[codes.pop()] if codes else NO


async def test_everybody_is_shown_what_the_rules_say(world: World) -> None:
    """Every way from every field of Query to every leaf, by everybody, for what is Ada's."""
    found = Findings()
    await world.ask("Ada", "{ posts { nodes { id } } }")  # so that the cache has something to tell operators
    for place, arguments, only in questions(world):
        stop = plan(place, only)
        document = f"{{ {name_of(stop)}{arguments}{stop.text()} }}"
        for asker in ASKERS:
            answer = (await world.ask(asker, document)).json()
            data = (answer.get("data") or {}).get(name_of(stop))
            found.note(asker, stop, verdict_of(answer), read(stop, data, world.owner_of))

    assert found.roots() == roots_of(SCHEMA.query_type)
    assert len(found) > 1_000
    assert found.misfits() == []


def input_of(name: str) -> str:
    """The type and the name of the one argument that a mutation cannot do without."""
    assert SCHEMA.mutation_type is not None
    arguments = SCHEMA.mutation_type.fields[name].args.items()
    [(argument, made)] = [(argument, made) for argument, made in arguments if is_required_argument(made)]
    return f"mutation ($given: {made.type}) {{ {name}({argument}: $given)"


async def test_everybody_changes_what_the_rules_say(world: World) -> None:
    """Every mutation of what is Ada's, by everybody: it comes about, or every table is as it was before."""
    assert {f"Mutation.{name}" for name in WISHES} == roots_of(SCHEMA.mutation_type)
    misfits = []
    for name, wish in WISHES.items():
        stop = plan(f"Mutation.{name}")
        for asker in ASKERS:
            given = await wish(world)
            await world.note_owners()
            before = await digest_all(world.database)
            answer = (await world.ask(asker, f"{input_of(name)}{stop.text()} }}", given=given)).json()
            has_changed = await digest_all(world.database) != before

            verdict, payload = verdict_of(answer), (answer.get("data") or {}).get(name)
            await world.note_owners()
            if payload is not None:
                codes = {error["code"] for error in payload.pop("userErrors")}
                verdict = NO if codes == {"NOT_FOUND"} else f"{codes or YES}"
            told = {whose for _, whose in read(stop, payload, world.owner_of)}
            allowed = {"", EMPTY, "Ada", world.viewer_of(asker).user.name} if verdict == YES else set()
            wanted = expected(asker, (f"Mutation.{name}",))
            if verdict != wanted or has_changed is not (wanted == YES) or not told <= allowed:
                misfits.append(f"{asker}, {name}: {verdict}, not {wanted}; changed {has_changed}; told of {told}")
    assert misfits == []


async def first_events(world: World, asker: str, document: str) -> tuple[list[dict[str, Any]], str]:
    """What a subscription tells until it has told of a change of the asker's own post; and the verdict.

    Once the first event is there, Ada's post changes, and then the asker's own: what is not shown by then never is.
    """
    token = world.tokens[asker]
    url = world.url.replace("http", "ws", 1) + "/graphql"
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as socket:
        payload = {} if token is None else {"authorization": f"Bearer {token}"}
        await socket.send(orjson.dumps({"type": "connection_init", "payload": payload}).decode())
        events: list[dict[str, Any]] = []
        own = world.own_posts[world.viewer_of(asker).user.id]
        try:
            assert orjson.loads(await socket.recv()) == {"type": "connection_ack"}
            subscribe = {"id": "1", "type": "subscribe", "payload": {"query": document}}
            await socket.send(orjson.dumps(subscribe).decode())
            while True:
                message = orjson.loads(await asyncio.wait_for(socket.recv(), 20))
                if message["type"] == "error":
                    return events, verdict_of({"errors": message["payload"]})
                if message["type"] == "complete":
                    return events, NO
                verdict = verdict_of(message["payload"])
                if verdict != NO:
                    return events, verdict
                events.append(message["payload"]["data"])
                if len(events) == 1:
                    at = await change(world, world.ada, world.post)
                    at = await change(world, world.viewer_of(asker), own)
                elif any(post and post["id"] == own and post["caption"] == at for post in events[-1].values()):
                    return events, NO
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return events, {4403: "unknown"}.get(closed.rcvd.code, f"{closed.rcvd}")


async def change(world: World, viewer: Viewer, post: str) -> str:
    """Give a post another caption; gives the caption."""
    caption = f"Changed at {time.monotonic()}"
    document = "mutation ($i: UpdatePostInput!) { updatePost(input: $i) { userErrors { message } } }"
    answer = await world.api.data(document, viewer, i={"id": post, "caption": caption})
    assert answer["updatePost"]["userErrors"] == []
    return caption


async def test_everybody_watches_what_the_rules_say(world: World) -> None:
    """Every way from every subscription to every leaf, by everybody, while Ada's post and their own change."""
    found = Findings()
    for place, arguments in (("postChanged", f'(id: "{world.post}")'), ("postsChanged", "")):
        stop = plan(f"Subscription.{place}")
        for asker in ASKERS:
            events, verdict = await first_events(world, asker, f"subscription {{ {place}{arguments}{stop.text()} }}")
            leaves = [leaf for event in events for leaf in read(stop, event[place], world.owner_of)]
            found.note(asker, stop, verdict, iter(leaves))

    assert found.roots() == roots_of(SCHEMA.subscription_type)
    assert found.misfits() == []


async def test_credentials_fail_for_the_reason_that_they_are_named_after(world: World) -> None:
    """The same token before its end is good, and so is a key that nobody revoked."""
    world.tokens["Ada, expired JWT"] = a_jwt(seconds=60)
    for asker in ("Ada, expired JWT", "Ada, read-only key"):
        answer = (await world.ask(asker, "{ viewer { name } }")).json()
        assert answer["data"] == {"viewer": {"name": "Ada"}}, asker
