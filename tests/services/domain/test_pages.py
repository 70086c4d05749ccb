"""Cursors and pages."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.errors import Refused
from services.domain.pages import MAX_SIZE, PageRequest, Place, ask_page, cut_page

MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


@given(st.uuids(), MOMENTS)
def test_a_cursor_gives_its_place_back(key: UUID, at: datetime) -> None:
    """To the microsecond."""
    assert Place.from_cursor(Place(key, at).to_cursor()) == Place(key, at)


@given(st.one_of(st.text(max_size=40), st.binary(max_size=40).map(lambda raw: raw.hex())))
def test_any_text_is_a_cursor_or_none(text: str) -> None:
    """Nothing that a client sends raises, and only what we gave is taken."""
    place = Place.from_cursor(text)
    assert place is None or place.to_cursor() == text


@pytest.mark.parametrize("size", [-1, MAX_SIZE + 1])
@pytest.mark.parametrize("name", ["first", "last"])
def test_a_size_out_of_range_is_refused_by_name(name: str, size: int) -> None:
    """The answer says which argument."""
    arguments = {"first": None, "last": None, name: size}
    with pytest.raises(Refused) as refused:
        ask_page(after=None, before=None, **arguments)
    assert refused.value.errors[0].field == name


def test_first_and_last_together_are_refused() -> None:
    """Relay discourages it, and nobody means it."""
    with pytest.raises(Refused):
        ask_page(first=1, last=1, after=None, before=None)


@given(
    st.lists(st.uuids(), unique=True, max_size=12).map(sorted),
    st.integers(0, 12),
    st.booleans(),
)
def test_a_page_is_the_list_cut_at_one_end(keys: list[UUID], size: int, backward: bool) -> None:
    """Whichever way it was read, a page comes in the list's own order and knows whether more lies that way."""
    request = PageRequest(size=size, backward=backward)
    read = (keys[::-1] if backward else keys)[: size + 1]
    page = cut_page(read, request, Place)

    expected = (keys[max(0, len(keys) - size) :] if backward else keys[:size]) if size else []
    assert list(page.nodes) == expected
    assert (page.has_previous if backward else page.has_next) == (len(keys) > size)
    assert page.cursors == tuple(Place(key).to_cursor() for key in expected)


def test_cursors_keep_the_order_of_far_moments_apart() -> None:
    """A post without a time stands at the end of the calendar and has a cursor too."""
    far = datetime(9999, 12, 31, tzinfo=UTC)
    assert Place.from_cursor(Place(UUID(int=1), far).to_cursor()) == Place(UUID(int=1), far)
    assert Place(UUID(int=1), far - timedelta(microseconds=1)).to_cursor() != Place(UUID(int=1), far).to_cursor()
