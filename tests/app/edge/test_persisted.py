"""Documents known by their hash, over every transport; and those that an operator trusts."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from app.settings import SettingsError
from app.trusted import read_trusted
from schema.extensions.persisted import TrustedDocuments
from services.backends.documents import DocumentStore, digest_of
from services.backends.redis import RedisGate
from tests.app.edge.conftest import Edge, RunningEdge
from tests.app.edge.small_edge import small_schema
from tests.app.edge.test_event_streams import Events
from tests.app.edge.test_sockets import opened

MakeKey = Callable[..., Awaitable[str]]

QUICK = "{ quick }"
COUNT = "subscription { count(to: 2) }"


def named(text: str, **changes: Any) -> dict[str, Any]:
    """The extensions that name a document."""
    return {"persistedQuery": {"version": 1, "sha256Hash": digest_of(text)} | changes}


@pytest.fixture
async def gate(redis: Redis, redis_url: str) -> AsyncIterator[RedisGate]:
    """To a Redis that is empty again after the test."""
    gate = RedisGate(url=redis_url)
    await gate.open()
    yield gate
    await gate.close()


@pytest.fixture
async def running(edge: Edge, gate: RedisGate) -> RunningEdge:
    """An edge that knows documents by their hash."""
    return await edge(schema=small_schema(texts=DocumentStore(gate=gate)))


async def ask(running: RunningEdge, token: str | None = None, **body: Any) -> tuple[int, Any]:
    """Status and answer of exactly this body."""
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    response = await running.http.post("/graphql", json=body, headers=headers)
    return response.status_code, response.json()


async def test_hash_is_enough_once_hash_and_text_were_sent(running: RunningEdge, a_key: MakeKey) -> None:
    """In the words that Apollo's clients look for."""
    token = await a_key()
    status, answer = await ask(running, token, extensions=named(QUICK))
    assert status == 200
    assert answer["errors"][0]["message"] == "PersistedQueryNotFound"
    assert answer["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"

    _, first = await ask(running, token, query=QUICK, extensions=named(QUICK))
    _, again = await ask(running, extensions=named(QUICK))

    assert first["data"] == again["data"] == {"quick": "done"}


async def test_other_processes_know_what_one_was_told(
    running: RunningEdge, edge: Edge, gate: RedisGate, a_key: MakeKey
) -> None:
    """They share Redis."""
    await ask(running, await a_key(), query=QUICK, extensions=named(QUICK))
    other = await edge(schema=small_schema(texts=DocumentStore(gate=gate)))

    assert (await ask(other, extensions=named(QUICK)))[1]["data"] == {"quick": "done"}


async def test_get_needs_no_text_either(running: RunningEdge, a_key: MakeKey) -> None:
    """Short enough for a cache on the way."""
    token = await a_key()
    await ask(running, token, query=QUICK, extensions=named(QUICK))
    parameters = {"extensions": orjson.dumps(named(QUICK)).decode()}
    answer = await running.http.get("/graphql", params=parameters, headers={"X-Crier-Client": "test"})
    assert answer.json()["data"] == {"quick": "done"}


async def test_sockets_and_event_streams_know_them_too(running: RunningEdge, a_key: MakeKey) -> None:
    """One extension, whatever the transport."""
    await ask(running, await a_key(), query=QUICK, extensions=named(QUICK))
    async with opened(running) as socket:
        await socket.start()
        await socket.say(id="1", type="subscribe", payload={"extensions": named(QUICK)})
        assert (await socket.hear())["payload"]["data"] == {"quick": "done"}
    request = running.http.stream(
        "POST", "/graphql", json={"extensions": named(QUICK)}, headers={"Accept": "text/event-stream"}
    )
    async with request as response:
        assert (await Events(response.aiter_lines()).next())[1]["data"] == {"quick": "done"}


@pytest.mark.parametrize(
    ("text", "is_known"), [("{ quick }", True), ("{ nothing }", False), ("{ quick", False), ("{ a: quick }", True)]
)
async def test_only_what_is_fit_to_run_is_kept(running: RunningEdge, a_key: MakeKey, text: str, is_known: bool) -> None:
    """And only from somebody who is known."""
    await ask(running, query=text, extensions=named(text))
    assert "errors" in (await ask(running, extensions=named(text)))[1]
    await ask(running, await a_key(), query=text, extensions=named(text))
    assert ("data" in (await ask(running, extensions=named(text)))[1]) is is_known


@pytest.mark.parametrize(
    "extensions",
    [named("{ other }"), named(QUICK, version=2), named(QUICK, sha256Hash=None), {"persistedQuery": "x"}],
)
async def test_reference_that_makes_no_sense_is_refused(running: RunningEdge, extensions: dict[str, Any]) -> None:
    """A hash of another text, another protocol, no hash."""
    _, answer = await ask(running, query=QUICK, extensions=extensions)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_REQUEST"]
    assert "data" not in answer


async def test_documents_are_bounded_and_the_oldest_go(gate: RedisGate, redis: Redis) -> None:
    """As many as there may be."""
    store = DocumentStore(gate=gate, most=3)
    for number in range(9):
        await store.keep(f"{{ a{number}: quick }}")

    assert len(await redis.keys("crier:document:*")) == 3


async def test_without_redis_the_text_is_asked_for(running: RunningEdge, gate: RedisGate, a_key: MakeKey) -> None:
    """And run when it comes."""
    await gate.close()
    _, answer = await ask(running, extensions=named(QUICK))
    assert answer["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    assert (await ask(running, await a_key(), query=QUICK, extensions=named(QUICK)))[1]["data"] == {"quick": "done"}


async def test_poisoned_text_is_not_run(gate: RedisGate, redis: Redis) -> None:
    """A text that is not what its hash says is no text."""
    await redis.set(f"crier:document:{digest_of(QUICK)}", "{ secret }")
    assert await DocumentStore(gate=gate).find(digest_of(QUICK)) is None


@pytest.fixture
async def strict(edge: Edge, gate: RedisGate) -> RunningEdge:
    """An edge that trusts one document."""
    trusted = TrustedDocuments({digest_of(QUICK): QUICK, "by-name": COUNT})
    return await edge(schema=small_schema(texts=DocumentStore(gate=gate), trusted=trusted))


@pytest.mark.parametrize(
    ("body", "is_run"),
    [
        ({"query": QUICK}, True),
        ({"extensions": named(QUICK)}, True),
        ({"query": QUICK, "extensions": named(QUICK)}, True),
        ({"query": "{ a: quick }"}, False),
        ({"query": "{ a: quick }", "extensions": named("{ a: quick }")}, False),
        ({"query": "{ a: quick }", "extensions": named(QUICK)}, False),
        ({"extensions": named("{ a: quick }")}, False),
        ({"query": "{ __schema { types { name } } }"}, False),
    ],
)
async def test_only_trusted_documents_are_run(strict: RunningEdge, a_key: MakeKey, body: Any, is_run: bool) -> None:
    """By hash or by text; nothing becomes trusted by being sent."""
    for _ in range(2):
        _, answer = await ask(strict, await a_key(), **body)
        if is_run:
            assert answer["data"] == {"quick": "done"}
        else:
            assert [error["extensions"]["code"] for error in answer["errors"]] == ["DOCUMENT_NOT_TRUSTED"]


def test_manifests_of_relay_and_apollo_are_read(tmp_path: Path) -> None:
    """And what is neither is an error at start that names the setting."""
    path = tmp_path / "manifest.json"
    operation = {"id": "AB", "name": "Quick", "type": "query", "body": QUICK}
    for manifest in (
        {"AB": QUICK},
        {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [operation]},
    ):
        path.write_bytes(orjson.dumps(manifest))
        trusted = read_trusted(path)
        assert trusted is not None
        assert trusted.find("ab", "") == QUICK
    for nonsense in (b"[]", b"{", b'{"a": 1}', b'{"format": "apollo-persisted-query-manifest"}'):
        path.write_bytes(nonsense)
        with pytest.raises(SettingsError, match="TRUSTED_DOCUMENTS"):
            read_trusted(path)
    with pytest.raises(SettingsError, match="TRUSTED_DOCUMENTS"):
        read_trusted(tmp_path / "absent.json")
    assert read_trusted(None) is None
