"""YouTube in the sandbox: resumable uploads to the byte, metadata, budgets and what is read back."""

from collections.abc import Callable

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.sandbox.running import RunningSandbox

Start = Callable[..., httpx.Response]

GRANULE = 256 * 1024
HEAD = b"\x00\x00\x00\x18ftypisom"


def _film(size: int) -> bytes:
    return (HEAD + bytes(range(251)) * (size // 251 + 1))[:size]


def _put(sandbox: RunningSandbox, location: str, content: bytes, begin: int, total: int) -> httpx.Response:
    place = f"bytes {begin}-{begin + len(content) - 1}/{total}"
    return sandbox.http.put(location, content=content, headers={"Content-Range": place})


def _ask(sandbox: RunningSandbox, location: str, total: int) -> httpx.Response:
    return sandbox.http.put(location, headers={"Content-Range": f"bytes */{total}", "Content-Length": "0"})


def _reason(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["errors"][0]["reason"])


def test_upload_in_chunks_makes_one_video_at_its_last_byte(
    sandbox: RunningSandbox, start_upload: Start, youtube_headers: dict[str, str]
) -> None:
    """308 with Range until the end; nothing is on the channel before; asking again afterwards gives the video."""
    film = _film(GRANULE + 1000)
    location = start_upload(len(film), snippet={"title": "In two parts"}).headers["location"]
    assert "range" not in _ask(sandbox, location, len(film)).headers

    first = _put(sandbox, location, film[:GRANULE], 0, len(film))
    assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{GRANULE - 1}")
    assert sandbox.count("In two parts") == 0
    last = _put(sandbox, location, film[GRANULE:], GRANULE, len(film))
    video_id = last.json()["id"]

    assert last.status_code == 200
    assert sandbox.count("In two parts") == 1
    asked = _ask(sandbox, location, len(film))
    assert (asked.status_code, asked.json()["id"]) == (200, video_id)
    assert sandbox.count("In two parts") == 1
    assert "In two parts" in sandbox.http.get(f"/youtube/watch?v={video_id}").text


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_way_of_chunking_and_losing_gives_the_same_bytes(
    sandbox: RunningSandbox, start_upload: Start, data: st.DataObject
) -> None:
    """Oracle: the film itself. However it is cut, and whatever is kept of each chunk, the page serves it whole."""
    sandbox.reset()
    sandbox.turn(youtube_inserts_per_day=1000)
    film = _film(data.draw(st.integers(len(HEAD), 4 * GRANULE), "size"))
    token = sandbox.token_for("youtube", "UCsandboxAdaLumen0000001")
    opened = sandbox.http.post(
        "/youtube/upload/youtube/v3/videos?uploadType=resumable&part=snippet",
        headers={"Authorization": f"Bearer {token}"},
        json={"snippet": {"title": "any"}},
    )
    location, done = opened.headers["location"], 0
    answer = None
    while answer is None or answer.status_code == 308:
        size = data.draw(st.integers(1, 3), "granules") * GRANULE
        if data.draw(st.booleans(), "loses"):
            sandbox.arm("youtube.upload", action="short_range", keep_bytes=data.draw(st.integers(1, 2)) * GRANULE)
        answer = _put(sandbox, location, film[done : done + size], done, len(film))
        done = int(answer.headers["range"].rpartition("-")[2]) + 1 if "range" in answer.headers else done
    sandbox.http.delete("/control/faults")

    assert answer.status_code == 200
    page = sandbox.http.get(f"/youtube/watch?v={answer.json()['id']}").text
    media = page.partition('src="/media/')[2].partition("#")[0]
    assert sandbox.http.get(f"/media/{media}").content == film


@pytest.mark.parametrize(
    "place",
    [
        "bytes 0-999/{total}",
        "bytes 5-{last}/{total}",
        "bytes 0-{last}/5",
        "bytes 0-10",
        "0-{last}/{total}",
        "bytes x-y/z",
    ],
)
def test_content_range_that_does_not_fit_is_refused(sandbox: RunningSandbox, start_upload: Start, place: str) -> None:
    """Wrong length, wrong begin, wrong total, or not understood; nothing is kept of it."""
    film = _film(2 * GRANULE)
    location = start_upload(len(film)).headers["location"]
    header = place.format(total=len(film), last=len(film) - 1)

    answer = sandbox.http.put(location, content=film, headers={"Content-Range": header})

    assert answer.status_code == 400
    assert "range" not in _ask(sandbox, location, len(film)).headers


def test_chunk_that_is_no_multiple_of_256_kib_is_refused(sandbox: RunningSandbox, start_upload: Start) -> None:
    """Unless it is the last."""
    film = _film(GRANULE + 5)
    location = start_upload(len(film)).headers["location"]

    assert _put(sandbox, location, film[:1000], 0, len(film)).status_code == 400
    assert _put(sandbox, location, film[:GRANULE], 0, len(film)).status_code == 308
    assert _put(sandbox, location, film[:GRANULE], 0, len(film)).status_code == 400
    assert _put(sandbox, location, film[GRANULE:], GRANULE, len(film)).status_code == 200


def test_total_other_than_announced_is_refused(sandbox: RunningSandbox, start_upload: Start) -> None:
    """X-Upload-Content-Length binds."""
    location = start_upload(1000).headers["location"]

    assert _put(sandbox, location, _film(999), 0, 999).status_code == 400


def test_session_is_lost_on_demand_and_after_a_week(sandbox: RunningSandbox, start_upload: Start) -> None:
    """404 either way, for bytes and for questions."""
    first, second = (start_upload(1000).headers["location"] for _ in range(2))
    sandbox.arm("youtube.upload", action="lose_session")
    assert _put(sandbox, first, _film(1000), 0, 1000).status_code == 404
    assert _ask(sandbox, first, 1000).status_code == 404

    sandbox.advance(seconds=8 * 24 * 3600)
    assert _ask(sandbox, second, 1000).status_code == 404


@pytest.mark.parametrize(
    ("snippet", "status", "reason"),
    [
        ({"title": ""}, {}, "invalidTitle"),
        ({"title": "x" * 101}, {}, "invalidTitle"),
        ({"title": "a <b>"}, {}, "invalidTitle"),
        ({"description": "é" * 2501}, {}, "invalidDescription"),
        ({"tags": ["x" * 501]}, {}, "invalidTags"),
        ({"categoryId": "999"}, {}, "invalidCategoryId"),
        ({}, {"publishAt": "2099-01-01T00:00:00Z"}, "invalidPublishAt"),
        ({}, {"privacyStatus": "private", "publishAt": "2001-01-01T00:00:00Z"}, "invalidPublishAt"),
        ({}, {"privacyStatus": "secret"}, "forbiddenPrivacySetting"),
    ],
)
def test_metadata_beyond_a_limit_is_refused_with_its_reason(
    start_upload: Start, snippet: dict[str, object], status: dict[str, object], reason: str
) -> None:
    """Before the first byte; descriptions are measured in bytes."""
    assert _reason(start_upload(10, snippet=snippet, status=status)) == reason


def test_metadata_at_its_limits_is_taken(start_upload: Start) -> None:
    """The longest title, description and tags."""
    snippet = {"title": "x" * 100, "description": "é" * 2500, "tags": ["x" * 497, "y"]}

    assert start_upload(10, snippet=snippet, status={"privacyStatus": "unlisted"}).status_code == 200


def test_budget_is_per_pacific_day_and_bad_calls_cost_too(sandbox: RunningSandbox, start_upload: Start) -> None:
    """The third insert is refused, and midnight in Los Angeles, not in UTC, sets it free."""
    sandbox.turn(youtube_inserts_per_day=2)
    sandbox.http.post("/control/clock", json={"set": "2026-07-02T06:30:00Z"})
    start = _restarted(sandbox)
    assert start("").status_code == 400
    assert start("fine").status_code == 200

    assert _reason(start("third")) == "quotaExceeded"
    sandbox.advance(seconds=29 * 60)
    assert _reason(start("still the same day there")) == "quotaExceeded"
    sandbox.advance(seconds=2 * 60)
    assert start("a new day").status_code == 200


def _restarted(sandbox: RunningSandbox) -> Callable[[str], httpx.Response]:
    """Tokens live by the virtual clock, so a moved one needs a fresh token."""
    token = sandbox.token_for("youtube", "UCsandboxAdaLumen0000001")

    def start(title: str) -> httpx.Response:
        return sandbox.http.post(
            "/youtube/upload/youtube/v3/videos?uploadType=resumable&part=snippet",
            headers={"Authorization": f"Bearer {token}"},
            json={"snippet": {"title": title}},
        )

    return start


def _upload(sandbox: RunningSandbox, start_upload: Start, content: bytes, **metadata: dict[str, object]) -> str:
    location = start_upload(len(content), **metadata).headers["location"]
    return str(_put(sandbox, location, content, 0, len(content)).json()["id"])


def _video(sandbox: RunningSandbox, headers: dict[str, str], video_id: str) -> dict[str, dict[str, str]]:
    answer = sandbox.http.get(
        "/youtube/youtube/v3/videos", params={"part": "status,processingDetails", "id": video_id}, headers=headers
    )
    [item] = answer.json()["items"]
    return dict(item)


def test_video_is_processed_after_as_many_reads_as_set(
    sandbox: RunningSandbox, start_upload: Start, youtube_headers: dict[str, str]
) -> None:
    """uploaded/processing, then processed/succeeded."""
    sandbox.turn(polls={"youtube_video": 2})
    video_id = _upload(sandbox, start_upload, _film(1000))

    states = [_video(sandbox, youtube_headers, video_id) for _ in range(3)]

    assert [one["status"]["uploadStatus"] for one in states] == ["uploaded", "uploaded", "processed"]
    assert [one["processingDetails"]["processingStatus"] for one in states][1:] == ["processing", "succeeded"]


@pytest.mark.parametrize(("detail", "status"), [("codec", "failed"), ("copyright", "rejected")])
def test_failed_processing_takes_the_video_away(
    sandbox: RunningSandbox, start_upload: Start, youtube_headers: dict[str, str], detail: str, status: str
) -> None:
    """On demand, with the reason in its own field."""
    sandbox.turn(polls={"youtube_video": 0})
    video_id = _upload(sandbox, start_upload, _film(1000), snippet={"title": "doomed"})
    sandbox.arm("youtube.videos", action="fail_processing", detail=detail)

    told = _video(sandbox, youtube_headers, video_id)["status"]

    assert told["uploadStatus"] == status
    assert detail in (told.get("failureReason"), told.get("rejectionReason"))
    assert sandbox.count("doomed") == 0


def test_bytes_that_are_no_video_fail_in_processing(
    sandbox: RunningSandbox, start_upload: Start, youtube_headers: dict[str, str]
) -> None:
    """The upload itself succeeds, as with the real one."""
    sandbox.turn(polls={"youtube_video": 0})
    video_id = _upload(sandbox, start_upload, b"just words", snippet={"title": "words"})

    assert _video(sandbox, youtube_headers, video_id)["status"]["failureReason"] == "invalidFile"
    assert sandbox.count("words") == 0


def test_same_file_twice_is_two_videos_unless_told_to_reject(
    sandbox: RunningSandbox, start_upload: Start, youtube_headers: dict[str, str]
) -> None:
    """Nothing is deduplicated by default."""
    for _ in range(2):
        _upload(sandbox, start_upload, _film(1000), snippet={"title": "twin"})
    assert sandbox.count("twin") == 2

    sandbox.turn(youtube_rejects_duplicates=True, polls={"youtube_video": 0})
    third = _upload(sandbox, start_upload, _film(1000), snippet={"title": "twin"})
    assert _video(sandbox, youtube_headers, third)["status"]["rejectionReason"] == "duplicate"
    assert sandbox.count("twin") == 2


def test_channel_leads_to_its_uploads(
    sandbox: RunningSandbox, start_upload: Start, youtube_headers: dict[str, str]
) -> None:
    """channels.list tells the playlist, playlistItems.list what is in it, latest first."""
    made = [_upload(sandbox, start_upload, _film(1000), snippet={"title": title}) for title in ("one", "two")]
    channel = sandbox.http.get(
        "/youtube/youtube/v3/channels?part=snippet,contentDetails&mine=true", headers=youtube_headers
    ).json()["items"][0]

    items = sandbox.http.get(
        "/youtube/youtube/v3/playlistItems",
        params={"part": "snippet", "playlistId": channel["contentDetails"]["relatedPlaylists"]["uploads"]},
        headers=youtube_headers,
    ).json()["items"]

    assert channel["snippet"]["title"] == "Ada Lumen"
    assert [one["snippet"]["resourceId"]["videoId"] for one in items] == made[::-1]


def test_private_until_its_time_becomes_public(
    sandbox: RunningSandbox, start_upload: Start, youtube_headers: dict[str, str]
) -> None:
    """PublishAt by the virtual clock."""
    status: dict[str, object] = {"privacyStatus": "private", "publishAt": "2099-01-01T00:00:00Z"}
    video_id = _upload(sandbox, start_upload, _film(1000), status=status)
    assert _video(sandbox, youtube_headers, video_id)["status"]["privacyStatus"] == "private"

    sandbox.http.post("/control/clock", json={"set": "2099-01-01T00:00:01Z"})

    fresh = {"Authorization": f"Bearer {sandbox.token_for('youtube', 'UCsandboxAdaLumen0000001')}"}
    assert _video(sandbox, fresh, video_id)["status"]["privacyStatus"] == "public"


def test_token_and_scope_are_checked(sandbox: RunningSandbox, start_upload: Start) -> None:
    """401 for no or an ended token, 403 for one that may only read."""
    sandbox.http.post("/control/tokens", json={"account": "UCsandboxAdaLumen0000001", "action": "expire"})
    assert (start_upload(10).status_code, _reason(start_upload(10))) == (401, "authorizationRequired")

    reader = sandbox.http.post(
        "/control/accounts",
        json={"platform": "youtube", "scopes": ["https://www.googleapis.com/auth/youtube.readonly"]},
    ).json()
    answer = sandbox.http.post(
        "/youtube/upload/youtube/v3/videos?uploadType=resumable&part=snippet",
        headers={"Authorization": f"Bearer {reader['access_token']}"},
        json={"snippet": {"title": "x"}},
    )
    assert (answer.status_code, _reason(answer)) == (403, "insufficientPermissions")
