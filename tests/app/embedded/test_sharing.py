"""Several processes in one data folder: one owns the servers, the others join."""

import fcntl
import time
from pathlib import Path

import pytest

from app.embedded import EmbeddedServers, EmbeddedServersUnavailable
from tests.app.embedded.rig import (
    leaders_in,
    other_process,
    processes_in,
    read,
    wait_until,
    write,
)


async def test_second_process_joins(data_dir: Path) -> None:
    """A later process gets the same servers, and its stop leaves them running."""
    with other_process(data_dir) as owner:
        owned = owner.endpoints()
        running = {process.pid for process in leaders_in(data_dir)}
        with EmbeddedServers(data_dir=data_dir) as joined:
            assert joined == owned
            await write(joined, "by-the-joiner")
        assert {process.pid for process in leaders_in(data_dir)} == running
        assert await read(owned) == (["by-the-joiner"], ["by-the-joiner"])
        owner.end()
    assert processes_in(data_dir) == []


async def test_joiner_outlives_the_owner_and_starts_anew(data_dir: Path) -> None:
    """When the owner dies the joiner's servers are gone; started again, it owns new ones with all the data."""
    with other_process(data_dir) as owner:
        await write(owner.endpoints(), "kept")
        servers = EmbeddedServers(data_dir=data_dir)
        joined = servers.start()
        owner.kill()
        wait_until(lambda: processes_in(data_dir) == [])
        with pytest.raises(OSError, match="No such file"):
            await read(joined)
    with servers as owned:
        assert await read(owned) == (["kept"], ["kept"])


async def test_joining_a_server_that_the_owner_does_not_run_fails(data_dir: Path) -> None:
    """Processes of one data folder must agree on what is embedded."""
    with other_process(data_dir) as owner:
        owner.endpoints()
        with EmbeddedServers(data_dir=data_dir, redis=False) as part:
            assert part.redis_url == ""
    with EmbeddedServers(data_dir=data_dir, redis=False), pytest.raises(EmbeddedServersUnavailable, match="no redis"):
        EmbeddedServers(data_dir=data_dir).start()


async def test_racing_first_starts_share_one_pair_of_servers(data_dir: Path) -> None:
    """Of processes that start at once in a new folder one owns the servers and the others join it."""
    with other_process(data_dir) as one, other_process(data_dir) as two, other_process(data_dir) as three:
        assert one.endpoints() == two.endpoints() == three.endpoints()
        assert len(leaders_in(data_dir)) == 2


async def test_state_of_the_dead_is_not_joined(data_dir: Path) -> None:
    """While the folder is locked a state file that names ended processes is no invitation: the start waits its turn."""
    with EmbeddedServers(data_dir=data_dir) as endpoints:
        await write(endpoints, "kept")
        state = (data_dir / "servers.json").read_bytes()
    (data_dir / "servers.json").write_bytes(state)
    with (data_dir / "servers.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with other_process(data_dir) as waiting:
            time.sleep(1.5)
            assert processes_in(data_dir) == []
            assert waiting.process.poll() is None
            lock.close()
            assert await read(waiting.endpoints()) == (["kept"], ["kept"])
