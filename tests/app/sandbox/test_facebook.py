"""Facebook Pages in the sandbox: drafts, posts, photos, videos and reels."""

import json
from collections.abc import Callable

import httpx
import pytest

from app.sandbox.running import RunningSandbox

Caller = Callable[..., httpx.Response]

PAGE = "110000000000001"


def _error(answer: httpx.Response) -> tuple[int, int | None]:
    error = answer.json()["error"]
    return error["code"], error.get("error_subcode")


def test_text_post_has_a_compound_id_and_a_permalink_that_opens(sandbox: RunningSandbox, facebook: Caller) -> None:
    """`<page>_<post>`, found in both lists and on its page."""
    made = facebook("POST", "{me}/feed", message="hello <you>", fields="id,permalink_url").json()

    assert made["id"].startswith(f"{PAGE}_")
    assert "hello &lt;you&gt;" in sandbox.http.get(made["permalink_url"]).text
    for path in ("{me}/feed", "{me}/published_posts"):
        assert [one["message"] for one in facebook("GET", path).json()["data"]] == ["hello <you>"]


def test_repeated_post_shows_and_counts_twice(sandbox: RunningSandbox, facebook: Caller) -> None:
    """No duplicate is refused, or a client's mistake would not be seen."""
    ids = {facebook("POST", "{me}/feed", message="again").json()["id"] for _ in range(2)}

    assert len(ids) == 2
    assert sandbox.count("again") == 2


def test_repeated_photo_shows_and_counts_twice(sandbox: RunningSandbox, facebook: Caller, picture: str) -> None:
    """The same of photos published at once."""
    answers = [facebook("POST", "{me}/photos", url=picture, message="view").json() for _ in range(2)]

    assert all(one["post_id"].startswith(f"{PAGE}_") for one in answers)
    assert sandbox.count("view") == 2


def test_draft_is_invisible_until_published_and_then_there_once(sandbox: RunningSandbox, facebook: Caller) -> None:
    """Publishing is setting a flag: done twice it is still one post."""
    draft = facebook("POST", "{me}/feed", message="soon", published="false").json()["id"]
    assert facebook("GET", draft, fields="is_published").json()["is_published"] is False
    assert sandbox.count("soon") == 0
    assert facebook("GET", "{me}/feed").json()["data"] == []

    times = []
    for _ in range(2):
        assert facebook("POST", draft, is_published="true").json() == {"success": True}
        node = facebook("GET", draft, fields="is_published,created_time").json()
        assert node["is_published"] is True
        times.append(node["created_time"])
        sandbox.advance(seconds=60)

    assert times[0] == times[1]
    assert sandbox.count("soon") == 1


def test_draft_photo_is_published_by_its_own_id(sandbox: RunningSandbox, facebook: Caller, picture: str) -> None:
    """A single photo needs no post around it."""
    photo = facebook("POST", "{me}/photos", url=picture, message="one photo", published="false").json()
    assert "post_id" not in photo

    facebook("POST", photo["id"], is_published="true")

    assert sandbox.count("one photo") == 1
    assert facebook("GET", photo["id"], fields="permalink_url,is_published").json()["is_published"] is True


def test_photos_are_attached_by_index_or_as_an_array(sandbox: RunningSandbox, facebook: Caller, picture: str) -> None:
    """Both ways clients write it; a photo of nobody's is refused."""
    photos = [facebook("POST", "{me}/photos", url=picture, published="false").json()["id"] for _ in range(2)]
    items = [{"media_fbid": photo} for photo in photos]

    indexed = {f"attached_media[{index}]": json.dumps(item) for index, item in enumerate(items)}
    facebook("POST", "{me}/feed", message="indexed", **indexed)
    facebook("POST", "{me}/feed", message="array", attached_media=json.dumps(items))

    published = sandbox.http.get("/control/publications").json()
    assert [(one["caption"], one["media"]) for one in published] == [("indexed", 2), ("array", 2)]
    stranger = json.dumps([{"media_fbid": "999"}])
    assert _error(facebook("POST", "{me}/feed", message="x", attached_media=stranger)) == (100, 33)


def test_deleted_draft_is_gone(sandbox: RunningSandbox, facebook: Caller) -> None:
    """What was prepared can be taken back."""
    draft = facebook("POST", "{me}/feed", message="never mind", published="false").json()["id"]

    assert facebook("DELETE", draft).json() == {"success": True}

    assert _error(facebook("GET", draft)) == (100, 33)
    assert _error(facebook("POST", draft, is_published="true")) == (100, 33)


def test_scheduled_post_appears_at_its_time(sandbox: RunningSandbox, facebook: Caller) -> None:
    """Facebook's own scheduling: at least ten minutes ahead, and only of an unpublished post."""
    due = str(int(_now(sandbox)) + 3600)
    assert _error(facebook("POST", "{me}/feed", message="x", scheduled_publish_time=due))[0] == 100
    near = str(int(_now(sandbox)) + 60)
    assert _error(facebook("POST", "{me}/feed", message="x", published="false", scheduled_publish_time=near))[0] == 100

    facebook("POST", "{me}/feed", message="in an hour", published="false", scheduled_publish_time=due)

    assert len(facebook("GET", "{me}/scheduled_posts").json()["data"]) == 1
    assert sandbox.count("in an hour") == 0
    sandbox.advance(seconds=3700)
    assert sandbox.count("in an hour") == 1
    assert facebook("GET", "{me}/scheduled_posts").json()["data"] == []


def _now(sandbox: RunningSandbox) -> float:
    from datetime import datetime

    return datetime.fromisoformat(sandbox.http.get("/control/clock").json()["now"]).timestamp()


def test_bad_post_is_refused(facebook: Caller) -> None:
    """Nothing in it, too much in it, a link that is none, a flag that is none."""
    assert _error(facebook("POST", "{me}/feed")) == (100, None)
    assert _error(facebook("POST", "{me}/feed", message="x" * 63_207)) == (100, None)
    assert _error(facebook("POST", "{me}/feed", link="not a link")) == (100, 1609005)
    assert _error(facebook("POST", "{me}/feed", message="x", published="perhaps")) == (100, None)


def test_bad_photo_is_refused(sandbox: RunningSandbox, facebook: Caller) -> None:
    """Not there, or not an image; PNG is one."""
    for path in ("/samples/none.jpg", "/samples/clip.mp4"):
        assert _error(facebook("POST", "{me}/photos", url=sandbox.url + path)) == (100, 1366046)
    assert facebook("POST", "{me}/photos", url=f"{sandbox.url}/samples/ocean.png").status_code == 200


def test_photo_can_be_sent_as_bytes(sandbox: RunningSandbox, facebook: Caller) -> None:
    """`source` in a multipart form."""
    content = sandbox.http.get("/samples/dusk.jpg").content

    facebook("POST", "{me}/photos", files={"source": content}, message="from disk")

    assert sandbox.count("from disk") == 1


def test_video_from_a_url_is_published_and_then_processed(sandbox: RunningSandbox, facebook: Caller, clip: str) -> None:
    """Its status runs through the phases; an unpublished one stays a draft."""
    sandbox.turn(polls={"facebook_video": 1})
    video = facebook("POST", "{me}/videos", file_url=clip, title="T", description="moving").json()["id"]
    first = facebook("GET", video, fields="status").json()["status"]
    second = facebook("GET", video, fields="status,permalink_url").json()

    assert (first["video_status"], first["publishing_phase"]["status"]) == ("processing", "not_started")
    assert second["status"]["video_status"] == "ready"
    assert second["status"]["publishing_phase"]["publish_status"] == "published"
    assert sandbox.count("moving") == 1
    facebook("POST", "{me}/videos", file_url=clip, description="hidden", published="false")
    assert sandbox.count("hidden") == 0


def test_video_that_is_none_is_refused(sandbox: RunningSandbox, facebook: Caller) -> None:
    """Code 6000 in both cases."""
    assert _error(facebook("POST", "{me}/videos", file_url=f"{sandbox.url}/samples/none.mp4")) == (6000, None)
    assert _error(facebook("POST", "{me}/videos", file_url=f"{sandbox.url}/samples/dusk.jpg")) == (6000, 1363024)


def test_chunked_video_takes_bytes_in_order_only(sandbox: RunningSandbox, facebook: Caller) -> None:
    """Offsets are told until they are equal; a wrong one is refused with the right one, an early finish too."""
    content = sandbox.http.get("/samples/clip.mp4").content
    started = facebook("POST", "{me}/videos", upload_phase="start", file_size=str(len(content))).json()
    session, half = started["upload_session_id"], len(content) // 2
    assert started["start_offset"] == "0"

    def transfer(offset: int, chunk: bytes) -> httpx.Response:
        return facebook(
            "POST",
            "{me}/videos",
            upload_phase="transfer",
            upload_session_id=session,
            start_offset=str(offset),
            files={"video_file_chunk": chunk},
        )

    wrong = transfer(5, content[5:]).json()["error"]
    assert (wrong["code"], wrong["error_subcode"], wrong["error_data"]["start_offset"]) == (6000, 1363037, "0")
    assert transfer(0, content[:half]).json()["start_offset"] == str(half)
    early = facebook("POST", "{me}/videos", upload_phase="finish", upload_session_id=session)
    assert _error(early) == (6000, 1363045)
    last = transfer(half, content[half:]).json()
    assert last["start_offset"] == last["end_offset"] == str(len(content))
    done = facebook("POST", "{me}/videos", upload_phase="finish", upload_session_id=session, description="chunks")
    assert done.json() == {"success": True}

    assert sandbox.count("chunks") == 1
    again = facebook("POST", "{me}/videos", upload_phase="finish", upload_session_id=session)
    assert _error(again) == (6000, 1363041)


def _send_reel(sandbox: RunningSandbox, facebook: Caller, description: str, **finish: str) -> httpx.Response:
    content = sandbox.http.get("/samples/clip.mp4").content
    started = facebook("POST", "{me}/video_reels", upload_phase="start").json()
    token = sandbox.token_for("facebook", PAGE)
    headers = {"Authorization": f"OAuth {token}", "offset": "0", "file_size": str(len(content))}
    assert sandbox.http.post(started["upload_url"], content=content, headers=headers).json() == {"success": True}
    finish = {"video_state": "PUBLISHED", **finish}
    return facebook(
        "POST",
        "{me}/video_reels",
        upload_phase="finish",
        video_id=started["video_id"],
        description=description,
        **finish,
    )


def test_reel_in_three_phases_is_in_its_own_list(sandbox: RunningSandbox, facebook: Caller) -> None:
    """Page posts leave reels out."""
    answer = _send_reel(sandbox, facebook, "up and down").json()

    assert answer["success"] is True
    assert sandbox.count("up and down") == 1
    assert facebook("GET", "{me}/feed").json()["data"] == []
    assert [one["id"] for one in facebook("GET", "{me}/video_reels").json()["data"]] == [answer["post_id"]]


def test_reel_draft_is_not_published(sandbox: RunningSandbox, facebook: Caller) -> None:
    """`video_state` decides; anything else than its three words is refused."""
    _send_reel(sandbox, facebook, "later", video_state="DRAFT")

    assert sandbox.count("later") == 0
    assert _error(_send_reel(sandbox, facebook, "x", video_state="NOW"))[0] == 100


def test_reels_are_limited_per_day(sandbox: RunningSandbox, facebook: Caller) -> None:
    """613 above the limit, and free again a day later."""
    sandbox.turn(facebook_reels_per_day=1)
    _send_reel(sandbox, facebook, "one")

    assert _error(_send_reel(sandbox, facebook, "two")) == (613, None)
    sandbox.advance(seconds=24 * 3600)
    assert _send_reel(sandbox, facebook, "three").status_code == 200


def test_reel_upload_with_a_wrong_offset_is_refused(sandbox: RunningSandbox, facebook: Caller) -> None:
    """And an unfinished upload cannot be finished."""
    started = facebook("POST", "{me}/video_reels", upload_phase="start").json()
    headers = {"Authorization": f"OAuth {sandbox.token_for('facebook', PAGE)}", "offset": "4", "file_size": "9"}

    assert sandbox.http.post(started["upload_url"], content=b"12345", headers=headers).status_code == 400
    early = facebook(
        "POST", "{me}/video_reels", upload_phase="finish", video_id=started["video_id"], video_state="PUBLISHED"
    )
    assert _error(early) == (6000, 1363045)


def test_reads_lag_behind_writes_as_told(sandbox: RunningSandbox, facebook: Caller) -> None:
    """A fresh post does not exist yet; a draft just published still says it is one."""
    sandbox.turn(read_lag=1)
    post = facebook("POST", "{me}/feed", message="fresh").json()["id"]
    assert _error(facebook("GET", post)) == (100, 33)
    assert facebook("GET", post).json()["message"] == "fresh"

    draft = facebook("POST", "{me}/feed", message="draft", published="false").json()["id"]
    facebook("POST", draft, is_published="true")
    read = [facebook("GET", draft, fields="is_published").json()["is_published"] for _ in range(2)]
    assert read == [False, True]


def test_draft_video_just_published_still_reads_as_a_draft(
    sandbox: RunningSandbox, facebook: Caller, clip: str
) -> None:
    """Its status lags with it."""
    sandbox.turn(polls={"facebook_video": 0}, read_lag=1)
    video = facebook("POST", "{me}/videos", file_url=clip, published="false").json()["id"]
    facebook("GET", video)
    facebook("POST", video, published="true")

    nodes = [facebook("GET", video, fields="published,status").json() for _ in range(2)]

    assert [node["published"] for node in nodes] == [False, True]
    phases = [node["status"]["publishing_phase"]["publish_status"] for node in nodes]
    assert phases == ["draft", "published"]


@pytest.mark.parametrize("path", ["{me}/feed", "{me}/photos", "{me}/videos", "{me}/video_reels"])
def test_person_token_cannot_write_for_a_page(sandbox: RunningSandbox, facebook: Caller, path: str) -> None:
    """Only the Page's own token does; a missing scope is told apart from a wrong token."""
    made = sandbox.http.post(
        "/control/accounts", json={"platform": "facebook", "id": PAGE, "scopes": ["pages_read_engagement"]}
    ).json()

    for token in (made["user_token"], made["access_token"]):
        answer = facebook("POST", path, message="x", access_token=token)
        assert (answer.status_code, _error(answer)[0]) == (403, 200)


def test_page_of_somebody_else_looks_missing(facebook: Caller) -> None:
    """100/33, as for one that does not exist."""
    for page in ("110000000000003", "42"):
        assert _error(facebook("POST", f"{page}/feed", message="x")) == (100, 33)
