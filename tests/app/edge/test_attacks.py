"""Bodies that ask for as much work as a body can are refused at once, or answered for what they are priced at.

True figures come from `python -m benchmarks.attacks`; here the bound is generous, for the machine may be busy.
"""

import gc
import time
from collections.abc import Awaitable, Callable, Iterator

import orjson
import pytest

from benchmarks.attack_bodies import attack_bodies
from benchmarks.edge import send_to
from tests.app.edge.test_asgi import Whole, whole  # noqa: F401 — a fixture

MOST_SECONDS = 0.1
"""Five times what a refusal may take."""
SECONDS_PER_COST = 0.0005

NOT_OURS = {"QUERY_TOO_COMPLEX", "VALIDATION_FAILED", "PARSE_FAILED", "BAD_REQUEST", "NOT_FOUND"}


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Garbage of the whole test run is not on this test's account."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_every_attack_is_cheap_to_refuse_or_costs_what_it_is_priced_at(
    whole: Whole,  # noqa: F811
    a_key: Callable[..., Awaitable[str]],
    uncollected: None,
) -> None:
    """None is a surprise to us, none is answered at length, and none takes time that nobody paid for."""
    token = f"Bearer {await a_key()}"
    await send_to(whole.app, "/graphql", token=token, content=b'{"query": "{viewer {id}}"}')
    slow = {}
    for name, body in attack_bodies().items():
        began = time.process_time()
        status, answered = await send_to(whole.app, "/graphql", token=token, content=body)
        seconds = time.process_time() - began

        answer = orjson.loads(answered)
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        assert status < 500, name
        assert codes <= NOT_OURS, name
        assert len(answered) <= 100_000, name
        price = answer.get("extensions", {}).get("cost", {}).get("requested", 0)
        if seconds > MOST_SECONDS + price * SECONDS_PER_COST:
            slow[name] = seconds
    assert slow == {}
