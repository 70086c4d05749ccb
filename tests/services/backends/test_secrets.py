"""SecretBox: what is sealed opens with our keys, in its place, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.backends.secrets import SecretBox, SecretDamaged

PLACE = "accounts|01|access_token"
OLD, NEW = SecretBox(["old key"]), SecretBox(["new key", "old key"])


@given(text=st.text(), place=st.text())
def test_secret_opens_in_its_place(text: str, place: str) -> None:
    """Whatever is sealed comes back."""
    assert NEW.open(NEW.seal(text, place=place), place=place) == text


@given(place=st.text(), other=st.text())
def test_secret_in_another_place_does_not_open(place: str, other: str) -> None:
    """A blob copied to another row or column is refused."""
    if place == other:
        return
    with pytest.raises(SecretDamaged):
        NEW.open(NEW.seal("token", place=place), place=other)


@given(st.data())
def test_altered_secret_does_not_open(data: st.DataObject) -> None:
    """Not one bit may change, header included, and nothing may be cut off."""
    blob = bytearray(NEW.seal("token", place=PLACE))
    position = data.draw(st.integers(0, len(blob) - 1))
    blob[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SecretDamaged):
        NEW.open(bytes(blob), place=PLACE)
    with pytest.raises(SecretDamaged):
        NEW.open(NEW.seal("token", place=PLACE)[:position], place=PLACE)


def test_rotation_opens_with_every_key_and_seals_with_the_first() -> None:
    """After a new first key old secrets still open and say that they should be sealed anew."""
    sealed = OLD.seal("token", place=PLACE)
    assert NEW.open(sealed, place=PLACE) == "token"
    assert NEW.needs_rotation(sealed)
    assert not NEW.needs_rotation(NEW.seal("token", place=PLACE))
    with pytest.raises(SecretDamaged, match="not configured"):
        OLD.open(NEW.seal("token", place=PLACE), place=PLACE)


def test_equal_secrets_look_different() -> None:
    """Nobody who reads the table learns that two accounts share a token."""
    assert OLD.seal("token", place=PLACE) != OLD.seal("token", place=PLACE)


def test_errors_hold_no_secret() -> None:
    """Neither the text nor a key stands in an error or its chain."""
    sealed = OLD.seal("very secret token", place=PLACE)
    with pytest.raises(SecretDamaged) as caught:
        NEW.open(sealed, place="elsewhere")
    assert "very secret" not in repr(caught.value)
    assert "old key" not in repr(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("keys", [[], [""], ["good", ""]])
def test_box_without_a_real_key_is_refused(keys: list[str]) -> None:
    """An empty setting never encrypts with an empty key."""
    with pytest.raises(ValueError, match="at least one key"):
        SecretBox(keys)
