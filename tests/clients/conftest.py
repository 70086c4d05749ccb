"""What the tests here share."""

from tests.end_to_end.local_run import start_run  # noqa: F401 - fixture
from tests.rig import rig, running_sandbox  # noqa: F401 - fixtures
