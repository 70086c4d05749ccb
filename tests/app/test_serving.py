"""Where the servers listen, and what they say where they cannot."""

import socket

import pytest

from app.serving import CannotListen, bind


@pytest.mark.parametrize("host", ["a..b", "192.0.2.1", "no host at all"])
def test_a_host_that_is_not_ours_is_told_as_such(host: str) -> None:
    """Another port would not help."""
    with pytest.raises(CannotListen, match="set HOST"):
        bind(host, 0, setting="PORT")


def test_a_taken_port_names_its_setting() -> None:
    """Of the three ports a process may have, the right one."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CannotListen, match="set SANDBOX_PORT"):
        bind("127.0.0.1", taken.getsockname()[1], setting="SANDBOX_PORT")
