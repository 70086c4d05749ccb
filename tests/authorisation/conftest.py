"""What the tests here share."""

from tests.rig import running_sandbox  # noqa: F401 - fixture
