"""Instagram in the sandbox: containers are strict, publishing forgives nothing, reads tell what is there."""

from collections.abc import Callable

import httpx
import pytest

from app.sandbox.running import RunningSandbox

Caller = Callable[..., httpx.Response]

DAY = 24 * 3600


def _error(answer: httpx.Response) -> tuple[int, int | None]:
    error = answer.json()["error"]
    return error["code"], error.get("error_subcode")


def _status(instagram: Caller, container_id: str) -> str:
    return str(instagram("GET", container_id, fields="status_code,status").json()["status_code"])


def test_image_goes_from_container_to_permalink(
    sandbox: RunningSandbox, instagram: Caller, container: Callable[[str], str]
) -> None:
    """The three calls of a publication, and everything a client reads afterwards."""
    container_id = container("good morning #sun")
    assert _status(instagram, container_id) == "FINISHED"

    media_id = instagram("POST", "{me}/media_publish", creation_id=container_id).json()["id"]

    assert _status(instagram, container_id) == "PUBLISHED"
    media = instagram("GET", media_id, fields="id,permalink,timestamp,caption,media_type").json()
    assert (media["id"], media["caption"], media["media_type"]) == (media_id, "good morning #sun", "IMAGE")
    assert media["timestamp"].endswith("+0000")
    assert "good morning" in sandbox.http.get(media["permalink"]).text
    listed = instagram("GET", "{me}/media", fields="id,caption").json()["data"]
    assert listed == [{"id": media_id, "caption": "good morning #sun"}]


def test_second_publish_of_one_container_shows_and_counts_twice(
    sandbox: RunningSandbox, instagram: Caller, container: Callable[[str], str]
) -> None:
    """Nothing is deduplicated: each media_publish is a post of its own."""
    container_id = container("twice")

    ids = {instagram("POST", "{me}/media_publish", creation_id=container_id).json()["id"] for _ in range(2)}

    assert len(ids) == 2
    assert sandbox.count("twice") == 2
    assert sandbox.http.get("/").text.count('class="words"><b>ada.lumen</b> twice') == 2


def test_reel_is_in_progress_for_as_many_polls_as_set(sandbox: RunningSandbox, instagram: Caller, clip: str) -> None:
    """A video is fetched and processed while its container says IN_PROGRESS."""
    sandbox.turn(polls={"reel": 3})
    container_id = instagram("POST", "{me}/media", media_type="REELS", video_url=clip, caption="moving").json()["id"]
    early = instagram("POST", "{me}/media_publish", creation_id=container_id)
    assert _error(early) == (9007, 2207027)

    polls = 1
    while _status(instagram, container_id) == "IN_PROGRESS":
        polls += 1

    assert polls == 4
    assert instagram("POST", "{me}/media_publish", creation_id=container_id).status_code == 200
    assert sandbox.count("moving") == 1


@pytest.mark.parametrize("path", ["/samples/none.jpg", "/samples/sunrise.png"])
def test_reel_whose_video_is_no_video_ends_in_an_error_with_its_subcode(
    sandbox: RunningSandbox, instagram: Caller, path: str
) -> None:
    """2207052 where nothing could be fetched, 2207026 where it is something else; publishing it is refused."""
    made = instagram("POST", "{me}/media", media_type="REELS", video_url=sandbox.url + path)
    container_id = made.json()["id"]
    while _status(instagram, container_id) == "IN_PROGRESS":
        pass

    status = instagram("GET", container_id, fields="status_code,status").json()

    assert status["status_code"] == "ERROR"
    assert status["status"].endswith("2207026" if path.endswith("png") else "2207052")
    assert _error(instagram("POST", "{me}/media_publish", creation_id=container_id)) == (-1, 2207032)


def test_image_that_cannot_be_fetched_or_is_no_jpeg_is_refused(sandbox: RunningSandbox, instagram: Caller) -> None:
    """The bytes decide, not the name."""
    for path, expected in {
        "/samples/none.jpg": (9004, 2207052),
        "/samples/sunrise.png": (36001, 2207005),
        "/samples/clip.mp4": (36001, 2207005),
    }.items():
        assert _error(instagram("POST", "{me}/media", image_url=sandbox.url + path)) == expected
    assert _error(instagram("POST", "{me}/media", image_url="http://127.0.0.1:9/x.jpg")) == (9004, 2207052)
    assert _error(instagram("POST", "{me}/media", caption="no picture"))[0] == 100


@pytest.mark.parametrize(
    ("width", "height", "is_allowed"),
    [(1080, 1350, True), (1080, 566, True), (1080, 1080, True), (1080, 1440, False), (1080, 500, False)],
)
def test_image_aspect_is_held_between_4_to_5_and_1_91_to_1(
    *,
    instagram: Caller,
    hosted: Callable[[str, bytes], str],
    jpeg: Callable[[int, int], bytes],
    width: int,
    height: int,
    is_allowed: bool,
) -> None:
    """The two extremes are in, a little more is out."""
    url = hosted(f"/{width}x{height}.jpg", jpeg(width, height))

    answer = instagram("POST", "{me}/media", image_url=url)

    assert (answer.status_code == 200) == is_allowed
    if not is_allowed:
        assert _error(answer) == (36003, 2207009)


def test_image_larger_than_8_mib_is_refused(
    instagram: Caller, hosted: Callable[[str, bytes], str], jpeg: Callable[[int, int], bytes]
) -> None:
    """36000/2207004, measured on the bytes that came."""
    url = hosted("/big.jpg", jpeg(1080, 1080) + bytes(8 * 1024 * 1024))

    assert _error(instagram("POST", "{me}/media", image_url=url)) == (36000, 2207004)


@pytest.mark.parametrize("caption", ["x" * 2201, "#a " * 31, "@a " * 21])
def test_caption_beyond_a_limit_is_refused(instagram: Caller, picture: str, caption: str) -> None:
    """2200 characters, 30 hashtags, 20 mentions."""
    assert _error(instagram("POST", "{me}/media", image_url=picture, caption=caption)) == (36004, 2207010)


@pytest.mark.parametrize(("number", "is_allowed"), [(1, False), (2, True), (10, True), (11, False)])
def test_carousel_takes_two_to_ten_children(
    sandbox: RunningSandbox, instagram: Caller, picture: str, number: int, is_allowed: bool
) -> None:
    """All children are shown in one post."""
    children = [
        instagram("POST", "{me}/media", image_url=picture, is_carousel_item="true").json()["id"] for _ in range(number)
    ]

    answer = instagram("POST", "{me}/media", media_type="CAROUSEL", children=",".join(children), caption="many")

    if not is_allowed:
        assert _error(answer) == (100, 2207028)
        return
    instagram("POST", "{me}/media_publish", creation_id=answer.json()["id"])
    [publication] = sandbox.http.get("/control/publications").json()
    assert (publication["kind"], publication["media"]) == ("carousel", number)


def test_carousel_waits_for_a_video_child(sandbox: RunningSandbox, instagram: Caller, picture: str, clip: str) -> None:
    """The parent is IN_PROGRESS as long as one child is."""
    sandbox.turn(polls={"carousel_video": 2})
    video = instagram("POST", "{me}/media", media_type="VIDEO", video_url=clip, is_carousel_item="true").json()["id"]
    image = instagram("POST", "{me}/media", image_url=picture, is_carousel_item="true").json()["id"]
    parent = instagram("POST", "{me}/media", media_type="CAROUSEL", children=f"{video},{image}").json()["id"]

    assert _status(instagram, parent) == "IN_PROGRESS"
    assert _error(instagram("POST", "{me}/media_publish", creation_id=parent)) == (9007, 2207027)
    while _status(instagram, parent) == "IN_PROGRESS":
        pass
    assert instagram("POST", "{me}/media_publish", creation_id=parent).status_code == 200


def test_container_in_the_wrong_place_is_refused(instagram: Caller, picture: str, clip: str) -> None:
    """A reel as a child, VIDEO alone, an unknown type, a child published alone, children not made as such."""
    assert _error(instagram("POST", "{me}/media", media_type="VIDEO", video_url=clip)) == (100, 2207023)
    assert _error(instagram("POST", "{me}/media", media_type="TALE", image_url=picture)) == (100, 2207023)
    reel = instagram("POST", "{me}/media", media_type="REELS", video_url=clip, is_carousel_item="true")
    assert _error(reel) == (100, 2207023)
    child = instagram("POST", "{me}/media", image_url=picture, is_carousel_item="true").json()["id"]
    assert _error(instagram("POST", "{me}/media_publish", creation_id=child)) == (100, 2207023)
    alone = instagram("POST", "{me}/media", image_url=picture).json()["id"]
    assert _error(instagram("POST", "{me}/media", media_type="CAROUSEL", children=f"{alone},{child}")) == (100, 2207028)


def test_container_expires_after_a_day(
    sandbox: RunningSandbox, instagram: Caller, container: Callable[[str], str]
) -> None:
    """The virtual clock moves on; what is not published is EXPIRED and cannot be published."""
    container_id = container("too late")
    sandbox.advance(seconds=DAY + 1)

    assert _status(instagram, container_id) == "EXPIRED"
    assert _error(instagram("POST", "{me}/media_publish", creation_id=container_id)) == (-2, 2207020)


def test_daily_quota_is_told_and_enforced_over_a_rolling_day(
    sandbox: RunningSandbox, instagram: Caller, container: Callable[[str], str]
) -> None:
    """media_publish refuses with 9/2207042 until the oldest post is a day old; a carousel counts once."""
    sandbox.turn(instagram_posts_per_day=2)
    for caption in ("one", "two"):
        instagram("POST", "{me}/media_publish", creation_id=container(caption))

    limit = instagram("GET", "{me}/content_publishing_limit", fields="quota_usage,config").json()

    assert limit == {"data": [{"quota_usage": 2, "config": {"quota_total": 2, "quota_duration": DAY}}]}
    refused = instagram("POST", "{me}/media_publish", creation_id=container("three"))
    assert _error(refused) == (9, 2207042)
    sandbox.advance(seconds=DAY)
    assert instagram("POST", "{me}/media_publish", creation_id=container("four")).status_code == 200


def test_story_is_not_among_the_media(sandbox: RunningSandbox, instagram: Caller, picture: str) -> None:
    """Stories have a list of their own."""
    story = instagram("POST", "{me}/media", media_type="STORIES", image_url=picture).json()["id"]
    media_id = instagram("POST", "{me}/media_publish", creation_id=story).json()["id"]

    assert instagram("GET", "{me}/media").json()["data"] == []
    assert instagram("GET", "{me}/stories").json()["data"] == [{"id": media_id}]


def test_resumable_upload_is_strict_about_its_offset(sandbox: RunningSandbox, instagram: Caller) -> None:
    """Wrong `offset` or `file_size` is refused in the upload host's own shape; the whole file makes a reel."""
    content = sandbox.http.get("/samples/clip.mp4").content
    made = instagram("POST", "{me}/media", media_type="REELS", upload_type="resumable", caption="sent").json()
    token = sandbox.token_for("instagram", "17841400000000001")
    headers = {"Authorization": f"OAuth {token}", "offset": "0", "file_size": str(len(content))}

    for wrong in ({"offset": "7"}, {"file_size": "10"}, {"offset": "x"}):
        refused = sandbox.http.post(made["uri"], content=content, headers=headers | wrong)
        assert refused.status_code == 400
        assert set(refused.json()["debug_info"]) == {"retriable", "type", "message"}
    half = len(content) // 2
    assert sandbox.http.post(made["uri"], content=content[:half], headers=headers).json()["success"] is True
    rest = headers | {"offset": str(half)}
    assert sandbox.http.post(made["uri"], content=content[half:], headers=rest).json()["success"] is True

    while _status(instagram, made["id"]) == "IN_PROGRESS":
        pass
    assert instagram("POST", "{me}/media_publish", creation_id=made["id"]).status_code == 200
    assert sandbox.count("sent") == 1


def test_comment_is_counted(instagram: Caller, container: Callable[[str], str]) -> None:
    """A first comment goes to one's own media."""
    media_id = instagram("POST", "{me}/media_publish", creation_id=container("talk")).json()["id"]

    assert "id" in instagram("POST", f"{media_id}/comments", message="first!").json()
    assert instagram("GET", media_id, fields="comments_count").json()["comments_count"] == 1


def test_fresh_media_is_missed_by_as_many_reads_as_set(
    sandbox: RunningSandbox, instagram: Caller, container: Callable[[str], str]
) -> None:
    """Read-after-write lag: neither list nor object shows it, and the container still says FINISHED."""
    sandbox.turn(read_lag=2, container_lag=1)
    container_id = container("slow to show")
    media_id = instagram("POST", "{me}/media_publish", creation_id=container_id).json()["id"]

    assert _status(instagram, container_id) == "FINISHED"
    assert _status(instagram, container_id) == "PUBLISHED"
    assert instagram("GET", "{me}/media").json()["data"] == []
    assert _error(instagram("GET", media_id)) == (100, 33)
    assert [one["id"] for one in instagram("GET", "{me}/media").json()["data"]] == [media_id]


def test_media_list_pages_by_cursor(instagram: Caller, container: Callable[[str], str]) -> None:
    """Latest first, every one once, and no cursor after the last page."""
    made = [instagram("POST", "{me}/media_publish", creation_id=container(str(i))).json()["id"] for i in range(5)]
    seen: list[str] = []
    after = ""
    while True:
        page = instagram("GET", "{me}/media", limit="2", after=after).json()
        seen += [one["id"] for one in page["data"]]
        if "next" not in page["paging"]:
            break
        after = page["paging"]["cursors"]["after"]

    assert seen == made[::-1]


def test_field_that_does_not_exist_is_refused(instagram: Caller) -> None:
    """As the Graph API words it."""
    answer = instagram("GET", "me", fields="id,shoe_size")

    assert _error(answer)[0] == 100
    assert "nonexisting field (shoe_size)" in answer.json()["error"]["message"]
