"""Ids as clients see them."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.domain.ids import Kind, decode_id, decode_id_of, encode_id, new_id


@given(st.sampled_from(list(Kind)), st.uuids())
def test_an_id_gives_its_kind_and_key_back(kind: Kind, key: UUID) -> None:
    """And is of no other kind."""
    text = encode_id(kind, key)
    assert decode_id(text) == (kind, key)
    assert [other for other in Kind if decode_id_of(other, text) is not None] == [kind]


@given(st.text(max_size=60))
def test_any_text_is_an_id_or_none(text: str) -> None:
    """Only what `encode_id` makes is taken."""
    decoded = decode_id(text)
    assert decoded is None or encode_id(*decoded) == text


def test_new_ids_rise() -> None:
    """Version 7: later ids sort after earlier ones."""
    made = [new_id() for _ in range(1_000)]
    assert made == sorted(made)
    assert {key.version for key in made} == {7}
