"""API keys: made, read back, and never mistaken."""

from hypothesis import given
from hypothesis import strategies as st

from services.domain.credentials import mint_api_key, read_api_key


def test_minted_key_is_read_back_and_matches_its_hash() -> None:
    """The stored half proves the other."""
    minted = mint_api_key()
    read = read_api_key(minted.token)
    assert read is not None
    assert read.key_id == minted.key_id
    assert read.matches(minted.secret_hash)


def test_key_does_not_match_the_hash_of_another() -> None:
    """Nor its own id with another's secret."""
    one, other = mint_api_key(), mint_api_key()
    forged = read_api_key(one.token[:39] + other.token[39:])
    assert forged is not None
    assert forged.key_id == one.key_id
    assert not forged.matches(one.secret_hash)


def test_hashes_are_compared_in_constant_time() -> None:
    """Never by what stops at the first byte that differs."""

    class Incomparable(bytes):
        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared by ==")

        __hash__ = bytes.__hash__

    minted = mint_api_key()
    read = read_api_key(minted.token)
    assert read is not None
    assert read.matches(Incomparable(minted.secret_hash))
    assert not read.matches(Incomparable(32))


def test_token_holds_nothing_that_is_stored() -> None:
    """What leaks from the database opens nothing."""
    minted = mint_api_key()
    assert minted.secret_hash.hex() not in minted.token


@given(st.text() | st.from_regex(r"crier_[0-9a-f]{32}_[0-9a-f]{60,68}", fullmatch=True))
def test_only_the_exact_shape_is_a_key(token: str) -> None:
    """Anything else is somebody else's token, or nonsense."""
    read = read_api_key(token)
    assert (read is not None) == (len(token) == 103 and token.startswith("crier_") and token.isascii())
