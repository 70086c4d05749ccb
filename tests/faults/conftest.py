"""What the tests of the programme share."""

from collections.abc import Iterator

import pytest

from tests.faults.stage import Servers, running_servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """PostgreSQL, Redis and a sandbox that nobody else minds losing."""
    with running_servers() as started:
        yield started
