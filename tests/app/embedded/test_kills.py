"""Whatever is killed, no process stays behind, no data is lost, and the next start works."""

import subprocess
from pathlib import Path

import pytest

from app.embedded import EmbeddedServers, EmbeddedServersUnavailable
from tests.app.embedded.rig import is_empty, leaders_in, other_process, processes_in, read, wait_until, write


async def test_killed_owner_leaves_no_process_and_all_data(data_dir: Path) -> None:
    """However often the owner is killed, its servers end with it and nothing written is lost."""
    written = []
    for turn in range(5):
        with other_process(data_dir) as owner:
            await write(owner.endpoints(), f"turn-{turn}")
            written.append(f"turn-{turn}")
            assert len(leaders_in(data_dir)) == 2
            owner.kill()
            wait_until(lambda: processes_in(data_dir) == [])
    with EmbeddedServers(data_dir=data_dir) as endpoints:
        assert await read(endpoints) == (written, written)


async def test_start_right_after_a_kill_waits_for_the_old_servers(data_dir: Path) -> None:
    """A start while the killed owner's servers are still ending gets new ones on the same data."""
    with other_process(data_dir) as owner:
        await write(owner.endpoints(), "kept")
        old = {process.pid for process in leaders_in(data_dir)}
        owner.kill()
        with EmbeddedServers(data_dir=data_dir) as endpoints:
            assert await read(endpoints) == (["kept"], ["kept"])
            assert not old & {process.pid for process in leaders_in(data_dir)}


@pytest.mark.parametrize("name", ["postgres", "redis-server"])
async def test_killed_server_is_recovered_by_the_next_start(data_dir: Path, name: str) -> None:
    """A server that is killed itself leaves its pid file and socket behind; the next start minds neither."""
    with EmbeddedServers(data_dir=data_dir) as endpoints:
        await write(endpoints, "kept")
        for process in leaders_in(data_dir):
            if process.info["name"] == name:
                process.kill()
    with EmbeddedServers(data_dir=data_dir) as endpoints:
        assert await read(endpoints) == (["kept"], ["kept"])


async def test_recycled_pid_in_the_pid_file_is_no_obstacle(data_dir: Path) -> None:
    """A pid file of a killed server is ignored even if its number now belongs to another program of the same user."""
    with EmbeddedServers(data_dir=data_dir) as endpoints:
        await write(endpoints, "kept")
        pid_file = (data_dir / "postgres/postmaster.pid").read_text()
        uid = (data_dir / "postgres").stat().st_uid
    with subprocess.Popen(["sleep", "60"], user=uid, cwd="/") as stranger:
        _, _, rest = pid_file.partition("\n")
        (data_dir / "postgres/postmaster.pid").write_text(f"{stranger.pid}\n{rest}")
        with EmbeddedServers(data_dir=data_dir) as endpoints:
            assert await read(endpoints) == (["kept"], ["kept"])
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("moment", ["postgres.new", "postgres.new/postgres/global", "postgres.new/postgres/base/5"])
async def test_killed_initdb_is_done_anew(data_dir: Path, moment: str) -> None:
    """A first start that is killed in the middle leaves no process, and nothing that the next one stumbles over."""
    with other_process(data_dir) as owner:
        wait_until((data_dir / moment).exists)
        owner.kill()
        assert not (data_dir / "postgres").exists()
        with EmbeddedServers(data_dir=data_dir) as endpoints:
            assert await is_empty(endpoints)
            assert not (data_dir / "postgres.new").exists()
    assert processes_in(data_dir) == []


async def test_postgres_started_by_hand_is_left_alone(data_dir: Path) -> None:
    """A server that somebody else runs on our data is never joined by a second one: that would destroy the data."""
    with EmbeddedServers(data_dir=data_dir, redis=False) as endpoints:
        assert await is_empty(endpoints)
        program = leaders_in(data_dir)[0].info["exe"]
    cluster = data_dir / "postgres"
    by_hand = [program, "-D", str(cluster), "-c", "listen_addresses=", "-c", f"unix_socket_directories={cluster}"]
    with subprocess.Popen(by_hand, user=cluster.stat().st_uid, cwd="/") as stranger:
        wait_until((cluster / "postmaster.pid").exists)
        with pytest.raises(EmbeddedServersUnavailable, match=f"process {stranger.pid}, not ours"):
            EmbeddedServers(data_dir=data_dir, redis=False).start()
        assert stranger.poll() is None
        stranger.terminate()
