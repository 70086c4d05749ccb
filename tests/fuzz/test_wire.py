"""Noise over HTTP and WebSocket to a live process: each is answered or refused in the protocol's own words.

`make fuzz` sends 20,000 bodies and 5,000 frames; the suite a few hundred.
"""

import asyncio
import time
from collections import Counter
from http import HTTPStatus
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.fuzz.conftest import Field
from tests.fuzz.share import many, share_of
from tests.fuzz.test_requests import ONCE_MORE, SLOWEST_SECONDS
from tests.fuzz.wire import BODIES, FRAMES, HEADERS, PLACES

BODIES_SENT, FRAMES_SENT = share_of(20_000), share_of(5_000)
AT_ONCE = 10
FRAMES_EACH = 4

CLOSED_BY_RULE = {1009, 4400, 4401, 4403, 4409, 4429}
"""The codes of `app.sockets` that a client's message can bring about."""


def send(http: httpx.Client, place: tuple[str, str], body: bytes, headers: dict[str, str]) -> tuple[int, bytes, str]:
    """Status, body and content type; of a stream, which may have no end, the beginning of the body."""
    with http.stream(*place, content=body, headers=headers) as answer:
        kind = answer.headers.get("content-type", "")
        if kind.startswith("text/event-stream"):
            return answer.status_code, next(answer.iter_bytes(), b""), kind
        return answer.status_code, answer.read(), kind


def timed(
    http: httpx.Client, place: tuple[str, str], body: bytes, headers: dict[str, str]
) -> tuple[tuple[int, bytes, str], float]:
    """What `send` gives, and how many seconds it took."""
    began = time.monotonic()
    return send(http, place, body, headers), time.monotonic() - began


def is_told(answer: bytes) -> bool:
    """Whether an answer of `/graphql` is GraphQL's JSON, and each error in it has a code."""
    told = orjson.loads(answer)
    return bool(told.keys() & {"data", "errors"}) and all(
        error["extensions"]["code"] for error in told.get("errors") or ()
    )


@pytest.mark.slow
async def test_random_bodies_are_answered_or_refused(field: Field) -> None:
    """No 5xx but for who asks for an answer within so little time, nothing slow, GraphQL's own JSON wherever JSON comes
    back, and a quiet log."""
    statuses: Counter[int] = Counter()
    findings: list[str] = []
    slow: list[str] = []
    signed = {"authorization": f"Bearer {field.keys['person']}"}

    def send_all() -> None:
        with httpx.Client(base_url=field.api.url, timeout=30, trust_env=False) as http:

            @many(BODIES_SENT // AT_ONCE)
            @given(st.lists(st.tuples(PLACES, BODIES, HEADERS), min_size=AT_ONCE, max_size=AT_ONCE))
            def try_each(sent: list[tuple[Any, bytes, dict[str, str]]]) -> None:
                for place, body, headers in sent:
                    (status, answer, kind), seconds = timed(http, place, body, signed | headers)
                    for _ in range(ONCE_MORE):
                        if seconds > SLOWEST_SECONDS:
                            seconds = min(seconds, timed(http, place, body, signed | headers)[1])
                    statuses[status] += 1
                    is_graphql = place[1] == "/graphql" and kind.startswith("application/")
                    is_own_wish = status == HTTPStatus.GATEWAY_TIMEOUT and "x-request-timeout" in headers
                    if (status >= 500 and not is_own_wish) or (is_graphql and not is_told(answer)):
                        findings.append(f"{status}: {place} {headers} {body!r}\n{answer[:500]!r}")
                    if seconds > SLOWEST_SECONDS:
                        slow.append(f"{seconds:.2f} s: {place} {headers} {body!r}")

            try_each()

    await asyncio.to_thread(send_all)
    print(dict(statuses), f"{len(findings)} findings, {len(slow)} slow", flush=True)  # noqa: T201 - for `make fuzz`
    assert findings == []
    assert slow == []
    assert list(field.api.complaints()) == []
    assert {200, 400} <= set(statuses)


@pytest.mark.slow
async def test_random_frames_are_answered_or_close_the_socket_by_rule(field: Field) -> None:
    """Whatever comes in whatever order, before and after a good `connection_init`; and a quiet log."""
    codes: Counter[int] = Counter()
    hello = orjson.dumps(
        {"type": "connection_init", "payload": {"authorization": f"Bearer {field.keys['person']}"}}
    ).decode()

    async def say(frames: list[str | bytes], is_polite: bool) -> None:
        async with connect(
            field.api.socket_url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None
        ) as socket:
            try:
                for frame in [*([hello] if is_polite else []), *frames, '{"type": "nonsense"}']:
                    await socket.send(frame)
                while True:
                    await asyncio.wait_for(socket.recv(), 10)
            except ConnectionClosed as closed:
                codes[closed.rcvd.code if closed.rcvd else 1006] += 1

    @many(FRAMES_SENT // FRAMES_EACH)
    @given(st.lists(FRAMES, min_size=FRAMES_EACH, max_size=FRAMES_EACH), st.sampled_from([True, True, True, False]))
    def try_each(frames: list[str | bytes], is_polite: bool) -> None:
        asyncio.run(say(frames, is_polite))

    await asyncio.to_thread(try_each)
    print(dict(codes), flush=True)  # noqa: T201 - for `make fuzz`
    assert set(codes) <= CLOSED_BY_RULE
    assert 4400 in codes
    assert list(field.api.complaints()) == []
