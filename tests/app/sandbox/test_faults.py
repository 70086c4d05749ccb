"""Faults on demand: what happened and what the client was told are two things, and both are exact."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from app.sandbox.running import RunningSandbox

Caller = Callable[..., httpx.Response]

PAGE = "110000000000001"


@pytest.mark.parametrize(("when", "count"), [("before", 0), ("after", 1)])
def test_dropped_connection_is_really_cut(sandbox: RunningSandbox, facebook: Caller, when: str, count: int) -> None:
    """The client sees no answer at all, and only the count tells whether it happened."""
    sandbox.arm("facebook.feed", when=when, action="drop")

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        facebook("POST", "{me}/feed", message="cut")

    assert sandbox.count("cut") == count
    assert facebook("POST", "{me}/feed", message="next").status_code == 200


@pytest.mark.parametrize(("when", "count"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize(
    ("fault", "status", "code", "subcode"),
    [
        ({"status": 500}, 500, 2, None),
        ({"status": 429, "headers": {"Retry-After": "30"}}, 429, 4, None),
        ({"preset": "action_blocked"}, 400, 4, 2207051),
        ({"preset": "token_expired"}, 401, 190, 463),
    ],
)
def test_refusal_before_or_after_the_commit(
    *,
    sandbox: RunningSandbox,
    instagram: Caller,
    container: Callable[[str], str],
    when: str,
    count: int,
    fault: dict[str, object],
    status: int,
    code: int,
    subcode: int | None,
) -> None:
    """The same refusal, with and without the post behind it."""
    container_id = container("lied about")
    sandbox.arm("instagram.media_publish", when=when, **fault)

    answer = instagram("POST", "{me}/media_publish", creation_id=container_id)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error.get("error_subcode")) == (status, code, subcode)
    assert answer.headers.get("retry-after") == ("30" if status == 429 else None)
    assert sandbox.count("lied about") == count
    state = instagram("GET", container_id, fields="status_code").json()["status_code"]
    assert state == ("PUBLISHED" if count else "FINISHED")


def test_fault_is_spent_after_its_times_and_only_where_it_fits(sandbox: RunningSandbox, facebook: Caller) -> None:
    """Matching on the caption, twice; other captions and the third time go through."""
    sandbox.arm("facebook.feed", status=500, times=2, match={"caption": "unlucky"})

    assert facebook("POST", "{me}/feed", message="lucky").status_code == 200
    statuses = [facebook("POST", "{me}/feed", message="unlucky").status_code for _ in range(3)]

    assert statuses == [500, 500, 200]
    assert sandbox.http.get("/control/faults").json() == []


def test_fault_on_publishing_finds_the_caption_of_the_container(
    sandbox: RunningSandbox, instagram: Caller, container: Callable[[str], str]
) -> None:
    """media_publish itself says no caption; its container does."""
    lucky, unlucky = container("lucky"), container("unlucky")
    sandbox.arm("instagram.media_publish", status=500, match={"caption": "unlucky"})

    assert instagram("POST", "{me}/media_publish", creation_id=lucky).status_code == 200
    assert instagram("POST", "{me}/media_publish", creation_id=unlucky).status_code == 500


def test_fault_can_mean_one_phase_or_one_kind_of_object(
    sandbox: RunningSandbox, facebook: Caller, instagram: Caller, container: Callable[[str], str]
) -> None:
    """`match` takes any parameter of the request, and the kind of what it is about."""
    sandbox.arm("facebook.videos", status=500, match={"upload_phase": "finish"})
    started = facebook("POST", "{me}/videos", upload_phase="start", file_size="10")
    assert started.status_code == 200
    session = started.json()["upload_session_id"]
    assert facebook("POST", "{me}/videos", upload_phase="finish", upload_session_id=session).status_code == 500

    sandbox.arm("instagram.read", status=500, match={"kind": "container"})
    media = instagram("POST", "{me}/media_publish", creation_id=container("x")).json()["id"]
    assert instagram("GET", media).status_code == 200
    assert instagram("GET", container("y")).status_code == 500


def test_error_of_the_operation_itself_spends_no_fault_after_it(sandbox: RunningSandbox, facebook: Caller) -> None:
    """After a commit means after a commit."""
    sandbox.arm("facebook.feed", when="after", status=500)

    assert facebook("POST", "{me}/feed").status_code == 400
    assert facebook("POST", "{me}/feed", message="fine").status_code == 500
    assert sandbox.count("fine") == 1


def test_delay_comes_before_what_follows_it(sandbox: RunningSandbox, facebook: Caller) -> None:
    """A slow platform that then drops the connection, both from two faults."""
    sandbox.arm("facebook.feed", when="after", action="delay", seconds=0.3)
    sandbox.arm("facebook.feed", when="after", action="drop")
    began = time.monotonic()

    with pytest.raises(httpx.RemoteProtocolError):
        facebook("POST", "{me}/feed", message="slow")

    assert time.monotonic() - began >= 0.3
    assert sandbox.count("slow") == 1


def test_client_that_gives_up_does_not_stop_the_effect(sandbox: RunningSandbox, facebook: Caller) -> None:
    """A read timeout at the client; a moment later the post is there."""
    sandbox.arm("facebook.feed", when="before", action="delay", seconds=0.4)
    token = sandbox.token_for("facebook", PAGE)

    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{sandbox.url}/facebook/v25.0/{PAGE}/feed",
            data={"message": "orphan", "access_token": token},
            timeout=0.1,
        )

    assert sandbox.count("orphan") == 0
    _wait_until(lambda: sandbox.count("orphan") == 1)


def test_request_delayed_over_a_reset_has_no_effect_on_the_new_world(sandbox: RunningSandbox, facebook: Caller) -> None:
    """What a dead worker of the last run has left behind does not disturb the next."""
    sandbox.arm("facebook.feed", when="before", action="delay", seconds=0.3)

    with ThreadPoolExecutor() as pool:
        late = pool.submit(facebook, "POST", "{me}/feed", message="late")
        _wait_until(lambda: bool(sandbox.http.get("/control/requests").json()))
        sandbox.http.post("/control/reset", json={"keep_accounts": True})
        with pytest.raises(httpx.RemoteProtocolError):
            late.result()

    assert sandbox.count("late") == 0


def test_request_sent_by_a_client_that_closes_at_once_has_its_effect(sandbox: RunningSandbox) -> None:
    """All bytes arrived, so the platform acts, though nobody waits for the answer."""
    data = urlencode({"message": "last words", "access_token": sandbox.token_for("facebook", PAGE)}).encode()

    for _ in range(20):
        _send_and_close(sandbox, f"POST /facebook/v25.0/{PAGE}/feed", data, length=len(data))

    _wait_until(lambda: sandbox.count("last words") == 20)


def test_request_cut_short_has_no_effect(sandbox: RunningSandbox) -> None:
    """It is in the journal of requests as not whole, and nothing came of it."""
    data = urlencode({"message": "half a sen", "access_token": sandbox.token_for("facebook", PAGE)}).encode()

    _send_and_close(sandbox, f"POST /facebook/v25.0/{PAGE}/feed", data, length=len(data) + 10)

    _wait_until(lambda: bool(sandbox.http.get("/control/requests?route=facebook.feed").json()))
    [visit] = sandbox.http.get("/control/requests?route=facebook.feed").json()
    assert (visit["is_whole"], visit["status"]) == (False, None)
    assert sandbox.count("half a sen") == 0


def test_chunk_cut_short_keeps_whole_granules(
    sandbox: RunningSandbox, start_upload: Callable[..., httpx.Response]
) -> None:
    """As YouTube keeps what it got of a PUT whose connection broke, in steps of 256 KiB."""
    granule = 256 * 1024
    total = 4 * granule
    location = start_upload(total).headers["location"]
    path = location.removeprefix(sandbox.url)
    part = bytes(granule + 5000)

    _send_and_close(sandbox, f"PUT {path}", part, length=total, more=f"Content-Range: bytes 0-{total - 1}/{total}\r\n")

    def received() -> str | None:
        asked = {"Content-Range": f"bytes */{total}", "Content-Length": "0"}
        answer = sandbox.http.put(location, headers=asked)
        return str(answer.headers["range"]) if "range" in answer.headers else None

    _wait_until(lambda: received() == f"bytes=0-{granule - 1}")


def test_container_expires_and_fails_on_demand(
    sandbox: RunningSandbox, instagram: Caller, container: Callable[[str], str]
) -> None:
    """At its next read, with the subcode asked for; at media_publish, too."""
    expiring, failing, refused = container("expiring"), container("failing"), container("refused")
    sandbox.arm("instagram.read", action="expire_container", match={"caption": "expiring"})
    sandbox.arm("instagram.read", action="fail_processing", detail="2207053", match={"caption": "failing"})
    sandbox.arm("instagram.media_publish", action="expire_container", match={"caption": "refused"})

    assert instagram("GET", expiring, fields="status_code").json()["status_code"] == "EXPIRED"
    status = instagram("GET", failing, fields="status_code,status").json()
    assert (status["status_code"], status["status"][-7:]) == ("ERROR", "2207053")
    assert instagram("POST", "{me}/media_publish", creation_id=refused).json()["error"]["error_subcode"] == 2207020


def test_youtube_faults_have_googles_shape(
    sandbox: RunningSandbox, start_upload: Callable[..., httpx.Response]
) -> None:
    """The same order, each platform's own words; a gateway's page is no JSON anywhere."""
    sandbox.arm("youtube.insert", preset="quota_exceeded")
    sandbox.arm("youtube.insert", status=503)
    sandbox.arm("youtube.insert", preset="bad_gateway")

    first, second, third = (start_upload(10) for _ in range(3))

    assert first.json()["error"]["errors"][0]["reason"] == "quotaExceeded"
    assert (second.status_code, second.json()["error"]["errors"][0]["reason"]) == (503, "backendError")
    assert third.status_code == 502
    assert third.headers["content-type"].startswith("text/html")


def test_video_whose_answer_was_dropped_is_found_by_its_session(
    sandbox: RunningSandbox, start_upload: Callable[..., httpx.Response]
) -> None:
    """The last chunk commits, its answer never comes; `bytes */N` tells the truth, and there is one video."""
    film = b"\x00\x00\x00\x18ftypisom" + bytes(1000)
    location = start_upload(len(film), snippet={"title": "silent end"}).headers["location"]
    sandbox.arm("youtube.upload", when="after", action="drop", match={"title": "silent end"})

    with pytest.raises(httpx.RemoteProtocolError):
        sandbox.http.put(location, content=film, headers={"Content-Range": f"bytes 0-{len(film) - 1}/{len(film)}"})

    asked = sandbox.http.put(location, headers={"Content-Range": f"bytes */{len(film)}", "Content-Length": "0"})
    assert asked.status_code == 200
    assert sandbox.count("silent end") == 1


@pytest.mark.parametrize(
    "order",
    [
        {"route": "facebook.nothing"},
        {"route": "facebook.feed", "preset": "quota_exceeded"},
        {"route": "*", "preset": "quota_exceeded"},
        {"action": "drop"},
    ],
)
def test_order_that_makes_no_sense_is_refused(sandbox: RunningSandbox, order: dict[str, str]) -> None:
    """An unknown route or preset, or no route, would wait forever."""
    answer = sandbox.http.post("/control/faults", json=order)

    assert answer.status_code == 422
    assert sandbox.http.get("/control/faults").json() == []


def _send_and_close(sandbox: RunningSandbox, line: str, body: bytes, *, length: int, more: str = "") -> None:
    address = urlsplit(sandbox.url)
    head = f"{line} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {length}\r\n{more}"
    kind = "" if more else "Content-Type: application/x-www-form-urlencoded\r\n"
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall(f"{head}{kind}\r\n".encode() + body)


def _wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < until, "it did not happen within 5 s"
        time.sleep(0.02)
