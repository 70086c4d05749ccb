"""Uploads to YouTube go on where they were: short ranges, sessions that vanish, media that fail."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from app.sandbox.running import RunningSandbox
from services.domain.errors import ErrorCode
from services.domain.publishing import FailureKind, Published, Rejected, Unknown
from tests.contract.conftest import Driving
from tests.contract.media import SIZES, video_bytes
from tests.contract.shapes import MEDIA_HOST, with_media

Shown = Callable[[], list[dict[str, Any]]]
KIB = 1024


def _file_of(sandbox: RunningSandbox, video_id: str) -> bytes:
    """The bytes of a video as its page plays them."""
    page = sandbox.http.get("/youtube/watch", params={"v": video_id}).text
    found = re.search(r"/media/[\w.-]+", page)
    assert found is not None
    return sandbox.http.get(found[0]).content


@pytest.mark.parametrize("keep_bytes", [0, 1, 256 * KIB, 300 * KIB])
async def test_short_range_goes_on_behind_what_was_kept(
    keep_bytes: int, driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """However little of a piece YouTube keeps, the next begins right behind it, and the file arrives whole."""
    sandbox.arm("youtube.upload", action="short_range", keep_bytes=keep_bytes)
    drive = driving("youtube_long")

    outcome = await drive.run()

    assert isinstance(outcome, Published)
    assert len(shown()) == 1
    assert _file_of(sandbox, outcome.platform_post_id) == video_bytes(SIZES["long.mp4"])


async def test_lost_session_before_the_last_piece_begins_anew(
    driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """Nothing can be on the channel yet, so nothing needs to be asked."""
    drive = driving("youtube_long")
    await drive.once()
    await drive.once()
    sandbox.arm("youtube.upload", action="lose_session")

    outcome = await drive.run()

    assert isinstance(outcome, Published)
    assert drive.steps.count("start_upload") == 2
    assert len(shown()) == 1


async def test_session_that_refuses_the_last_piece_begins_anew(
    driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """A 404 is an answer: the piece was not taken."""
    drive = driving("youtube_short")
    await drive.once()
    sandbox.arm("youtube.upload", action="lose_session")

    assert isinstance(await drive.run(), Published)
    assert drive.steps.count("start_upload") == 2
    assert len(shown()) == 1


async def test_session_lost_after_the_last_piece_is_found_on_the_channel(
    driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """The answer is lost and then the session: title and time tell the video, if only one fits."""
    drive = driving("youtube_short")
    await drive.once()
    sandbox.arm("youtube.upload", when="after", action="drop")
    await drive.once()
    sandbox.arm("youtube.upload", action="lose_session", times=9)

    outcome = await drive.run()

    assert isinstance(outcome, Published)
    assert [one["id"] for one in shown()] == [outcome.platform_post_id]


async def test_session_lost_in_doubt_is_never_begun_anew(
    driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """Neither session nor channel tell: the client goes on saying that it does not know."""
    drive = driving("youtube_short")
    await drive.once()
    sandbox.arm("youtube.upload", when="before", action="drop")
    await drive.once()
    sandbox.arm("youtube.upload", action="lose_session", times=9)

    with pytest.raises(AssertionError, match="no end"):
        await drive.run(at_most=20)

    assert isinstance(drive.outcomes[-1], Unknown)
    assert shown() == []


async def test_twin_of_an_earlier_video_is_a_refusal(driving: Driving, shown: Shown, sandbox: RunningSandbox) -> None:
    """YouTube takes an identical file and rejects it afterwards."""
    sandbox.turn(youtube_rejects_duplicates=True)
    await driving("youtube_short").run()

    outcome = await driving("youtube_short").run()

    assert isinstance(outcome, Rejected)
    assert (outcome.failure.kind, outcome.failure.platform_code) == (FailureKind.CONTENT, "duplicate")
    assert len(shown()) == 1


async def test_source_without_ranges_is_read_from_the_beginning(
    driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """A server that answers 200 to a range request serves as well, only slower."""
    drive = driving("youtube_long")
    drive.delivery = with_media(drive.delivery, f"{MEDIA_HOST}/long.mp4?whole")

    outcome = await drive.run()

    assert isinstance(outcome, Published)
    assert _file_of(sandbox, outcome.platform_post_id) == video_bytes(SIZES["long.mp4"])


async def test_medium_that_is_gone_is_the_person_s_to_mend(driving: Driving, shown: Shown) -> None:
    """404 from the media host, before and in the middle of an upload."""
    for steps_before in (0, 2):
        drive = driving("youtube_long")
        for _ in range(steps_before):
            await drive.once()
        drive.delivery = with_media(drive.delivery, f"{MEDIA_HOST}/gone.mp4?secret=s3cr3t")
        outcome = await drive.run()
        assert isinstance(outcome, Rejected)
        assert (outcome.failure.kind, outcome.failure.code) == (FailureKind.CONTENT, ErrorCode.MEDIA_UNREACHABLE)
        assert "s3cr3t" not in outcome.failure.message
    assert shown() == []


async def test_piece_that_is_never_kept_is_given_up(driving: Driving, shown: Shown, sandbox: RunningSandbox) -> None:
    """No progress is trouble of the platform: tried again by the retry policy, and not in a tight circle."""
    sandbox.arm("youtube.upload", action="short_range", keep_bytes=0, times=99)
    drive = driving("youtube_long")

    outcome = await drive.run()

    assert isinstance(outcome, Rejected)
    assert outcome.failure.kind is FailureKind.RETRY
    assert drive.steps.count("upload_bytes") == 6
    assert shown() == []


async def test_short_range_needs_no_question(driving: Driving, sandbox: RunningSandbox) -> None:
    """The answer itself says where to go on."""
    sandbox.arm("youtube.upload", action="short_range", keep_bytes=256 * KIB)
    drive = driving("youtube_long")

    await drive.run()

    requests = sandbox.http.get("/control/requests", params={"route": "youtube.upload"}).json()
    assert all(request["body_bytes"] > 0 for request in requests)
    assert all(request["status"] in (200, 308) for request in requests)


async def test_older_video_with_the_same_title_is_not_taken_for_ours(
    driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """The session is gone: only an upload that is no older than the first claim can be ours."""
    sandbox.advance(seconds=-10)
    await driving("youtube_short").run()
    sandbox.http.post("/control/clock", json={"reset": True}).raise_for_status()
    drive = driving("youtube_short")
    await drive.once()
    sandbox.arm("youtube.upload", when="after", action="drop")
    await drive.once()
    sandbox.arm("youtube.upload", action="lose_session", times=9)

    outcome = await drive.run()

    assert isinstance(outcome, Published)
    assert outcome.platform_post_id == max(shown(), key=lambda one: str(one["published_at"]))["id"]
