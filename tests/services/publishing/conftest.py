"""What the tests here share."""

from tests.rig import rig, running_sandbox  # noqa: F401 - fixtures
