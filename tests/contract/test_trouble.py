"""Whatever breaks at whatever call, a post goes out exactly once, or its end says why it did not."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from app.sandbox.running import RunningSandbox
from services.domain.publishing import Published, Rejected, Unknown
from tests.contract.conftest import Driving
from tests.contract.shapes import SHAPES, SHOWING

Shown = Callable[[], list[dict[str, Any]]]

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

FAULTS = [
    {"when": when, **how}
    for when in ("before", "after")
    for how in ({"action": "answer", "preset": "transient"}, {"action": "drop"}, {"preset": "bad_gateway"})
]


async def _visited(driving: Driving, sandbox: RunningSandbox, name: str) -> list[str]:
    """The routes that a delivery of this shape calls, in order, each once."""
    await driving(name).run()
    requests = sandbox.http.get("/control/requests").json()
    return list(dict.fromkeys(request["route"] for request in requests))


def _struck(sandbox: RunningSandbox) -> list[str]:
    """The routes whose requests met a fault."""
    return [request["route"] for request in sandbox.http.get("/control/requests").json() if request["faults"]]


@pytest.mark.parametrize("name", SHAPES)
async def test_one_fault_at_any_call_neither_loses_nor_doubles(
    name: str, driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """500, a proxy's page and a cut connection, before and after the platform has done it, at each call in turn."""
    routes = await _visited(driving, sandbox, name)

    for route, fault in itertools.product(routes, FAULTS):
        sandbox.reset()
        drive = driving(name)
        sandbox.arm(route, **fault)
        outcome = await drive.run()
        assert _struck(sandbox) == [route]
        assert isinstance(outcome, Published), (route, fault, outcome, drive.steps)
        assert [one["id"] for one in shown()] == [outcome.platform_post_id], (route, fault, drive.steps)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(fault.values()))
@pytest.mark.parametrize("name", SHAPES)
async def test_fault_at_the_showing_call_is_seen_through(
    *, name: str, fault: dict[str, str], driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """The one call that must not be made twice for nothing."""
    drive = driving(name)
    while drive.provider.next_step(drive.delivery).name not in SHOWING:
        await drive.once()
    sandbox.arm("*", **fault)

    outcome = await drive.run()

    assert isinstance(outcome, Published), (outcome, drive.steps)
    assert [one["id"] for one in shown()] == [outcome.platform_post_id], drive.steps


@pytest.mark.parametrize("name", SHAPES)
async def test_fault_that_lasts_neither_loses_nor_doubles(
    name: str, driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """Three dropped answers in a row at each call, while reads lag two behind writes."""
    routes = await _visited(driving, sandbox, name)

    for route in routes:
        sandbox.reset()
        sandbox.turn(read_lag=2, container_lag=2)
        drive = driving(name)
        sandbox.arm(route, when="after", action="drop", times=3)
        outcome = await drive.run()
        assert isinstance(outcome, Published), (route, outcome, drive.steps)
        assert [one["id"] for one in shown()] == [outcome.platform_post_id], (route, drive.steps)


@pytest.mark.parametrize("is_done", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("name", SHAPES)
async def test_worker_that_dies_in_any_step_is_succeeded_without_a_double(
    name: str, is_done: bool, driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """The next worker knows the saved checkpoint and whether the step may show the post, and nothing else."""
    whole = driving(name)
    await whole.run()

    for deadly in range(len(whole.steps)):
        sandbox.reset()
        drive = driving(name)
        for _ in range(deadly):
            await drive.once()
        await drive.die_in(drive.provider.next_step(drive.delivery), is_done=is_done)
        outcome = await drive.run()
        assert isinstance(outcome, Published), (deadly, outcome, drive.steps)
        assert [one["id"] for one in shown()] == [outcome.platform_post_id], (deadly, drive.steps)


@pytest.mark.parametrize("name", ["instagram_image", "facebook_text", "facebook_video", "facebook_reel"])
async def test_asking_is_patient_with_reads_that_lag(
    name: str, driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """What was published and still reads as unpublished is not published again."""
    sandbox.turn(read_lag=4, container_lag=4)
    showing = {"instagram_image": "instagram.media_publish", "facebook_reel": "facebook.video_reels"}
    drive = driving(name)
    while not drive.provider.next_step(drive.delivery).shows:
        await drive.once()

    sandbox.arm(showing.get(name, "facebook.update"), when="after", action="drop")
    outcome = await drive.run()

    assert isinstance(outcome, Published)
    assert len(shown()) == 1
    assert sum(step in SHOWING for step in drive.steps) == 1


async def test_refusal_after_the_post_went_out_is_seen_through(
    driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """Instagram says 4/2207051 of posts that went out: the container knows better."""
    sandbox.arm("instagram.media_publish", when="after", preset="action_blocked")
    drive = driving("instagram_image")

    outcome = await drive.run()

    assert isinstance(outcome, Published)
    assert [one["id"] for one in shown()] == [outcome.platform_post_id]
    assert isinstance(drive.outcomes[-2], Unknown)


async def test_refusal_of_a_post_that_did_not_go_out_is_told_after_asking(
    driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """The daily limit holds: the container still waits, and so the refusal is true."""
    sandbox.arm("instagram.media_publish", preset="daily_limit")
    drive = driving("instagram_image")

    outcome = await drive.run()

    assert isinstance(outcome, Rejected)
    assert (outcome.failure.kind, outcome.failure.platform_code) == ("WAIT", "9/2207042")
    assert outcome.failure.retry_after is not None
    assert shown() == []
    assert isinstance(await drive.run(), Published)
    assert drive.steps.count("create_container") == 1


async def test_two_posts_that_look_alike_are_never_guessed_between(
    driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """The answer is lost and two media fit: the client says that it does not know which is ours."""
    await driving("instagram_image", caption="twin").run()
    drive = driving("instagram_image", caption="twin", claimed_at=LONG_AGO)
    sandbox.arm("instagram.media_publish", when="after", action="drop")

    with pytest.raises(AssertionError, match="no end"):
        await drive.run(at_most=30)

    assert len(shown()) == 2
    assert isinstance(drive.outcomes[-1], Unknown)
    assert "2 of its media fit" in drive.outcomes[-1].reason


async def test_older_post_with_the_same_words_is_not_taken_for_ours(
    driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """Only what is no older than the first claim can be this delivery, to the second that Instagram tells."""
    sandbox.advance(seconds=-10)
    await driving("instagram_image", caption="again").run()
    sandbox.http.post("/control/clock", json={"reset": True}).raise_for_status()
    drive = driving("instagram_image", caption="again")
    sandbox.arm("instagram.media_publish", when="after", action="drop")

    outcome = await drive.run()

    assert isinstance(outcome, Published)
    older, ours = shown()
    assert older["published_at"] < ours["published_at"]
    assert outcome.platform_post_id == ours["id"]


async def test_expired_container_is_made_anew(driving: Driving, shown: Shown, sandbox: RunningSandbox) -> None:
    """Prepared too early, or expired under the publishing call: in both cases a new container goes out once."""
    for route in ("instagram.read", "instagram.media_publish"):
        sandbox.reset()
        sandbox.arm(route, action="expire_container")
        drive = driving("instagram_image")
        assert isinstance(await drive.run(), Published)
        assert drive.steps.count("create_container") == 2
        assert len(shown()) == 1
