"""The pages for people, the media behind them, and their memory over a restart."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx

from app.sandbox.running import RunningSandbox

Caller = Callable[..., httpx.Response]

INSTAGRAM = "17841400000000001"


def test_empty_page_says_what_to_do(sandbox: RunningSandbox) -> None:
    """Each column has its own word."""
    text = sandbox.http.get("/").text

    for words in ("No pictures yet", "The Page is quiet", "Nothing uploaded yet"):
        assert words in text


def test_page_loads_nothing_from_elsewhere(
    sandbox: RunningSandbox, instagram: Caller, container: Callable[[str], str]
) -> None:
    """Every address in it is a path of the sandbox, and every one answers."""
    instagram("POST", "{me}/media_publish", creation_id=container("here"))
    addresses = re.findall(r'(?:src|href)="([^"#]+)[^"]*"', sandbox.http.get("/").text)

    paths = {address for address in addresses if not address.startswith("data:")}

    assert all(path.startswith("/") and not path.startswith("//") for path in paths)
    assert {path: sandbox.http.get(path).status_code for path in paths} == dict.fromkeys(paths, 200)


def test_fragment_is_sent_only_when_something_changed(sandbox: RunningSandbox, facebook: Caller) -> None:
    """304 in between, so that the page need not touch anything."""
    first = sandbox.http.get("/feed")
    unchanged = sandbox.http.get("/feed", headers={"If-None-Match": first.headers["etag"]})
    facebook("POST", "{me}/feed", message="news")
    changed = sandbox.http.get("/feed", headers={"If-None-Match": first.headers["etag"]})

    assert unchanged.status_code == 304
    assert changed.status_code == 200
    assert "news" in changed.text


def test_words_of_people_cannot_become_markup(sandbox: RunningSandbox, facebook: Caller) -> None:
    """In captions, links and tags."""
    attack = '<script>alert(1)</script> #tag"onload=x @you<img src=x>'
    facebook("POST", "{me}/feed", message=attack, link='https://x.example/"><script>')

    text = sandbox.http.get("/").text

    assert "<script>alert" not in text
    assert "<img src=x>" not in text
    assert '"><script>' not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_same_words_sent_twice_are_marked(sandbox: RunningSandbox, facebook: Caller) -> None:
    """A developer sees a double post at a glance."""
    for _ in range(2):
        facebook("POST", "{me}/feed", message="echo")

    assert sandbox.http.get("/").text.count("2 × the same") == 2


def test_page_of_a_removed_or_unknown_post_is_404(sandbox: RunningSandbox, facebook: Caller) -> None:
    """As on the platforms."""
    post = facebook("POST", "{me}/feed", message="brief", fields="id,permalink_url").json()
    assert sandbox.http.get(post["permalink_url"]).status_code == 200
    facebook("DELETE", post["id"])

    for address in (post["permalink_url"], "/instagram/p/none", "/youtube/watch?v=none"):
        assert sandbox.http.get(address).status_code == 404


def test_samples_are_what_their_names_say(sandbox: RunningSandbox) -> None:
    """JPEG by default, PNG on request, and one MP4 of which a player may ask a part."""
    listed = sandbox.http.get("/samples").json()
    for address in listed["images"]:
        assert sandbox.http.get(address).content.startswith(b"\xff\xd8\xff")
    assert sandbox.http.get("/samples/ocean.png").content.startswith(b"\x89PNG")
    [clip] = listed["videos"]
    assert sandbox.http.get(clip).content[4:8] == b"ftyp"
    part = sandbox.http.get(clip, headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")


def test_permalinks_pictures_and_tokens_survive_a_restart(tmp_path: Path) -> None:
    """All from the journal, of which a line that a kill cut short is left out; a reset empties it for good."""
    journal = tmp_path / "sandbox.jsonl"
    with RunningSandbox(journal=journal) as first:
        port = int(first.url.rpartition(":")[2])
        token = first.token_for("instagram", INSTAGRAM)
        media_id = _publish(first, token, "still here")
    with journal.open("a") as file:
        file.write('{"publication": {"id": "18')

    with RunningSandbox(journal=journal, port=port) as second:
        asked = {"fields": "permalink,caption,media_url", "access_token": token}
        media = second.http.get(f"/instagram/v25.0/{media_id}", params=asked).json()
        assert media["caption"] == "still here"
        assert "still here" in second.http.get(media["permalink"]).text
        assert second.http.get(media["media_url"]).content.startswith(b"\xff\xd8\xff")
        assert second.count("still here") == 1
        _publish(second, token, "and more")

    with RunningSandbox(journal=journal, port=port) as third:
        assert (third.count("still here"), third.count("and more")) == (1, 1)
        third.reset()

    with RunningSandbox(journal=journal) as fourth:
        assert fourth.http.get("/control/publications").json() == []


def _publish(sandbox: RunningSandbox, token: str, caption: str) -> str:
    base = f"/instagram/v25.0/{INSTAGRAM}"
    made = {"image_url": f"{sandbox.url}/samples/dusk.jpg", "caption": caption, "access_token": token}
    container = sandbox.http.post(f"{base}/media", data=made).json()["id"]
    published = sandbox.http.post(f"{base}/media_publish", data={"creation_id": container, "access_token": token})
    return str(published.json()["id"])
