"""Signed addresses: ours hold for their time, all others never."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.backends.media_links import MediaLinks
from services.domain.ids import new_id
from services.domain.media_types import MediaType
from services.domain.uploads import Upload

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Clock:
    """A time that the test sets."""

    now = NOON


def some_links(*keys: str, clock: Clock | None = None, base_url: str = "https://crier.example") -> MediaLinks:
    """Links that hold for a day."""
    at = clock or Clock()
    return MediaLinks(base_url=base_url, keys=keys or ["key"], lifetime=timedelta(days=1), now=lambda: at.now)


def an_upload() -> Upload:
    """Any picture."""
    return Upload(new_id(), UUID(int=1), MediaType.JPEG, "path", 5, 2, 3, None, NOON)


def holds(links: MediaLinks, url: str) -> bool:
    """Whether the links believe an address."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return links.holds(path=parts.path, expires=query["expires"], signature=query["signature"])


def test_public_url_holds_for_its_lifetime() -> None:
    """To the second."""
    clock = Clock()
    links = some_links(clock=clock)
    upload = an_upload()

    url = links.public_url(upload)

    assert url.startswith(f"https://crier.example/media/upl_{upload.id.hex}/upl_{upload.id.hex}.jpg?")
    assert holds(links, url)
    clock.now = NOON + timedelta(hours=23, minutes=59, seconds=59)
    assert holds(links, url)
    clock.now = NOON + timedelta(days=1)
    assert not holds(links, url)


@given(st.integers(0, 10_000), st.characters(codec="utf-8"))
def test_altered_address_never_holds(position: int, replacement: str) -> None:
    """Not one character of path, time or signature can be another."""
    links = some_links()
    upload = an_upload()
    parts = urlsplit(links.public_url(upload))
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    whole = [parts.path, query["expires"], query["signature"]]
    index = position % sum(map(len, whole))
    for place, text in enumerate(whole):
        if index < len(text):
            whole[place] = text[:index] + replacement + text[index + 1 :]
            break
        index -= len(text)

    is_same = whole == [parts.path, query["expires"], query["signature"]]

    assert links.holds(path=whole[0], expires=whole[1], signature=whole[2]) is is_same


@pytest.mark.parametrize("expires", ["", "-1", "1e9", "９９９９９９９９９９", "9" * 400, " 1", "٣"])
def test_odd_times_never_hold(expires: str) -> None:
    """What is no plain number is refused without trouble."""
    assert not some_links().holds(path="/media/x/y", expires=expires, signature="x")


def test_links_outlive_a_change_of_keys() -> None:
    """What the old key signed is believed as long as that key is named; new links are the new key's."""
    upload = an_upload()
    old = some_links("old").public_url(upload)
    both = some_links("new", "old")

    assert holds(both, old)
    assert holds(both, both.public_url(upload))
    assert not holds(some_links("old"), both.public_url(upload))
    assert not holds(some_links("new"), old)


def test_renew_gives_a_stored_address_a_new_life() -> None:
    """Under the present key, time and base; an address that is not ours stays as it is."""
    clock = Clock()
    stored = some_links("old", base_url="https://old.example/crier").public_url(an_upload())
    links = some_links("new", clock=clock)
    clock.now = NOON + timedelta(days=400)

    renewed = links.renew(stored)

    assert urlsplit(renewed).netloc == "crier.example"
    assert urlsplit(renewed).path == urlsplit(stored).path.removeprefix("/crier")
    assert holds(links, renewed)
    assert links.renew("https://elsewhere.example/a.jpg?x=1") == "https://elsewhere.example/a.jpg?x=1"
