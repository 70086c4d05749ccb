"""What tests of the embedded servers may ask for.

data_dir  as everywhere; besides, no process may be left in it
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.embedded.rig import processes_in, wait_until


@pytest.fixture
def data_dir(data_dir: Path) -> Iterator[Path]:
    """A data folder that no process outlives."""
    yield data_dir
    wait_until(lambda: processes_in(data_dir.parent) == [])
