"""A whole Crier, for what is rehearsed on one."""

from tests.rig import rig, running_sandbox  # noqa: F401 - fixtures
