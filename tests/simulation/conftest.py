"""What the tests here share."""

from collections.abc import Iterator

import pytest

from tests.simulation.world import in_silence


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Thousands of foreseen troubles are not logged."""
    with in_silence():
        yield
