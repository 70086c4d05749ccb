"""What may come over a wire: bodies, headers and frames, from pure noise to requests with one byte changed."""

from typing import Any

import orjson
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
GOOD = [
    "{ viewer { id name role } }",
    "query A { posts(first: 3) { nodes { id caption targets { status account { handle } } } } }",
    "query A { health { status } } query B { viewer { id } }",
    "query ($id: ID!) { node(id: $id) { __typename ... on Post { caption } } }",
    "mutation ($input: CancelPostInput!) { cancelPost(input: $input) { post { id } userErrors { code } } }",
    "subscription { postsChanged { id status } }",
    'subscription { postChanged(id: "post_0") { id } }',
    "{ __schema { types { name } } }",
    "query Q($n: Int) { posts(first: $n) { totalCount } ...f } fragment f on Query { queue { due } ...f }",
]
TEXTS = (
    st.sampled_from(GOOD)
    | st.text(alphabet='{}()[]:,$@!."#|&= \n\\qviewerpostsidfragmenton0123', max_size=60)
    | st.builds(lambda mark, times: mark * times, st.sampled_from("{[($@\"'#&\\"), st.integers(1, 3_000))
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "query": TEXTS | JSON,
        "variables": st.fixed_dictionaries({}, optional={"id": JSON, "n": JSON, "input": JSON}) | JSON,
        "operationName": st.sampled_from(["A", "B", ""]) | JSON,
        "extensions": JSON,
    },
)
OPERATIONS = st.fixed_dictionaries(
    {"query": st.sampled_from(GOOD)},
    optional={"variables": st.fixed_dictionaries({}, optional={"id": JSON, "n": JSON, "input": JSON})},
)
"""Requests of the right shape, about nonsense."""
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["connection_init", "subscribe", "complete", "ping", "pong", "next", "error"]) | JSON,
        "id": st.sampled_from(["1", "2"]) | JSON,
        "payload": REQUESTS | JSON,
    },
)


def spoilt(texts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """The same with a few bytes replaced."""

    def spoil(text: bytes, at: int, by: bytes) -> bytes:
        place = at % (len(text) + 1)
        return text[:place] + by + text[place + 1 :]

    return st.builds(spoil, texts, st.integers(0, 300), st.binary(max_size=3))


_IDS = st.sampled_from(["1", "2", "3"])
_RIGHT_MESSAGES = st.one_of(
    st.fixed_dictionaries({"type": st.just("subscribe"), "id": _IDS, "payload": OPERATIONS}),
    st.fixed_dictionaries({"type": st.sampled_from(["complete", "subscribe"]), "id": _IDS, "payload": REQUESTS}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["ping", "pong"])}, optional={"payload": st.dictionaries(st.text(max_size=4), JSON)}
    ),
)

_WRITTEN = REQUESTS.map(orjson.dumps)
_RIGHT = OPERATIONS.map(orjson.dumps)
BODIES = st.one_of(
    _RIGHT, spoilt(_RIGHT), spoilt(spoilt(_RIGHT)), _WRITTEN, spoilt(_WRITTEN), JSON.map(orjson.dumps), st.binary()
)

_SPOKEN, _RIGHTLY = MESSAGES.map(orjson.dumps), _RIGHT_MESSAGES.map(orjson.dumps)
FRAMES = st.one_of(
    *[_RIGHTLY.map(bytes.decode)] * 4,
    *[
        frames.map(lambda frame: frame.decode(errors="replace"))
        for frames in (spoilt(_RIGHTLY), _SPOKEN, spoilt(_SPOKEN))
    ],
    st.binary(max_size=60) | st.text(max_size=30),
)

_WORDS = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
_ACCEPTED = st.sampled_from(["application/json", "application/graphql-response+json", "text/event-stream", "*/*"])
_ODD_HEADERS = st.fixed_dictionaries(
    {"content-type": st.sampled_from(["application/json"] * 6 + ["application/json; charset=utf-8"]) | _WORDS},
    optional={
        "accept": _ACCEPTED | _WORDS,
        "authorization": _WORDS | _WORDS.map(lambda word: f"Bearer x{word}"),
        "content-encoding": st.sampled_from(["gzip", "identity", "br"]),
        "x-request-timeout": st.integers(-1, 2000).map(str) | _WORDS,
        "x-correlation-id": _WORDS,
        "x-crier-plan": st.just("1"),
        "origin": st.just("https://elsewhere.test"),
    },
)
HEADERS = st.fixed_dictionaries({"content-type": st.just("application/json"), "accept": _ACCEPTED}) | _ODD_HEADERS
PLACES: Any = st.sampled_from(
    [("POST", "/graphql")] * 12
    + [("GET", "/graphql"), ("PUT", "/graphql"), ("POST", "/media"), ("POST", "/api/v1/health"), ("POST", "/oauth/x")]
)
"""Mostly where bodies belong."""
