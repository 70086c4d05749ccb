"""Every shape of post goes out once, is seen only from its showing step on, and can be opened."""

from collections.abc import Callable
from typing import Any

import pytest

from app.sandbox.running import RunningSandbox
from services.domain.publishing import Published, Step
from tests.contract.conftest import Driving
from tests.contract.shapes import SHAPES, SHOWING

Shown = Callable[[], list[dict[str, Any]]]


@pytest.mark.parametrize("name", SHAPES)
async def test_shape_goes_out_once_and_not_before_its_showing_step(
    name: str, driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """What the client says was published is what people see, with the words, and at the address it gives."""
    unseen: list[str] = []

    def look(step: Step) -> None:
        if not shown():
            unseen.append(step.name)

    drive = driving(name, before=look)

    outcome = await drive.run()

    assert isinstance(outcome, Published), outcome
    [seen] = shown()
    assert outcome.permalink is not None
    assert outcome.permalink == seen["permalink"]
    assert outcome.platform_post_id == seen["id"]
    assert sandbox.http.get(outcome.permalink).status_code == 200
    assert abs((outcome.published_at - drive.delivery.first_claimed_at).total_seconds()) < 30
    showing = next(step for step in drive.steps if step in SHOWING)
    assert unseen[-1] == showing
    assert showing not in unseen[:-1]


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("instagram_image", "create_container poll_container publish_container"),
        (
            "instagram_carousel",
            "create_child create_child create_child poll_children poll_children create_container poll_container "
            "publish_container",
        ),
        ("facebook_text", "create_post publish_post"),
        ("facebook_photos", "upload_photo upload_photo upload_photo create_post publish_post"),
        ("facebook_video", "create_video poll_video poll_video poll_video publish_video"),
        ("facebook_reel", "start_reel upload_reel publish_reel poll_reel poll_reel poll_reel"),
        ("youtube_short", "start_upload finish_upload check_processing check_processing"),
        (
            "youtube_long",
            "start_upload upload_bytes upload_bytes upload_bytes finish_upload check_processing check_processing",
        ),
    ],
)
async def test_steps_come_in_the_order_of_the_platform(name: str, steps: str, driving: Driving) -> None:
    """Each checkpoint leads to the next step and no other."""
    drive = driving(name)

    await drive.run()

    assert drive.steps == steps.split()


async def test_content_arrives_as_it_was_written(driving: Driving, shown: Shown) -> None:
    """Caption, link, title, privacy and the number of media are the delivery's."""
    await driving("facebook_link", caption="read this").run()
    await driving("facebook_photos", caption="look").run()
    await driving("youtube_short", caption="described").run()
    await driving("instagram_carousel", caption="ümläut 🎈\n\nline").run()

    link, photos, video, carousel = shown()
    assert (link["caption"], link["link"]) == ("read this", "https://crier.example/news")
    assert (photos["caption"], photos["media"]) == ("look", 3)
    assert (video["title"], video["caption"], video["privacy"]) == ("A title", "described", "public")
    assert (carousel["caption"], carousel["media"]) == ("ümläut 🎈\n\nline", 3)
