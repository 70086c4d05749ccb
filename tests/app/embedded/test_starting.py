"""Starting and stopping in one process: what runs, what is private, what is refused."""

import os
import stat
import threading
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis

from app.embedded import EmbeddedServers, EmbeddedServersUnavailable, Endpoints
from tests.app.embedded.rig import (
    PATIENCE,
    ask_postgres,
    is_empty,
    leaders_in,
    processes_in,
    read,
    socket_folder,
    write,
)


async def test_first_start_serves_both(data_dir: Path) -> None:
    """PostgreSQL 18 and Redis answer, without any TCP port and never as root."""
    with EmbeddedServers(data_dir=data_dir) as endpoints:
        assert str(await ask_postgres(endpoints, "SHOW server_version")).startswith("18")
        assert await ask_postgres(endpoints, "SHOW fsync") == "on"
        async with Redis.from_url(endpoints.redis_url) as redis:
            assert await redis.ping()
        assert 0 not in {process.info["uids"].effective for process in processes_in(data_dir)}
        servers = leaders_in(data_dir)
        assert len(servers) == 2
        assert [c for server in servers for c in server.net_connections("inet") if c.status == psutil.CONN_LISTEN] == []
        assert os.getsid(0) not in {os.getsid(server.pid) for server in servers}, "Ctrl-C would reach them before us"


async def test_data_is_private(data_dir: Path) -> None:
    """Data, sockets and password are closed to everybody but the servers' user."""
    with EmbeddedServers(data_dir=data_dir):
        for folder in ("postgres", "redis", "run", "logs"):
            assert stat.S_IMODE((data_dir / folder).stat().st_mode) == 0o700
        for file in ("postgres/crier-password", "servers.json", "servers.lock"):
            assert stat.S_IMODE((data_dir / file).stat().st_mode) == 0o600


async def test_wrong_password_is_refused(data_dir: Path) -> None:
    """The socket alone opens nothing."""
    with EmbeddedServers(data_dir=data_dir, redis=False) as endpoints:
        before, _, after = endpoints.database_url.rpartition("@")
        with pytest.raises(Exception, match="password authentication failed"):
            await ask_postgres(Endpoints(f"{before}x@{after}", ""), "SELECT 1")


async def test_only_what_is_asked_for_is_started(data_dir: Path) -> None:
    """A server that is not wanted has an empty URL and no process."""
    with EmbeddedServers(data_dir=data_dir, postgres=False) as endpoints:
        assert endpoints.database_url == ""
        assert [process.info["name"] for process in leaders_in(data_dir)] == ["redis-server"]
    nothing = EmbeddedServers(data_dir=data_dir / "nothing", postgres=False, redis=False).start()
    assert nothing == Endpoints(database_url="", redis_url="")
    assert not (data_dir / "nothing").exists()


async def test_later_start_finds_the_data(data_dir: Path) -> None:
    """What was written before a stop is there after it, at the same address."""
    with EmbeddedServers(data_dir=data_dir) as first:
        await write(first, "kept")
    assert processes_in(data_dir) == []
    with EmbeddedServers(data_dir=data_dir) as second:
        assert await read(second) == (["kept"], ["kept"])
        assert second == first


async def test_stop_can_be_called_again(data_dir: Path) -> None:
    """A second stop does nothing, and start works after it."""
    servers = EmbeddedServers(data_dir=data_dir, durable=False)
    servers.start()
    servers.stop()
    servers.stop()
    assert await is_empty(servers.start())
    servers.stop()


@pytest.mark.parametrize("name", ["deep/" * 30, "a b'c $x ü", 'a,b:c%41#?&"'], ids=["deep", "odd", "special"])
async def test_any_path_will_do(data_dir: Path, name: str) -> None:
    """Where a path is too long for a socket, or cannot be written in a URL, the sockets are in a private folder."""
    with EmbeddedServers(data_dir=data_dir / name) as endpoints:
        await write(endpoints, "kept")
        assert stat.S_IMODE(socket_folder(endpoints).stat().st_mode) == 0o700
    with EmbeddedServers(data_dir=data_dir / name) as endpoints:
        assert await read(endpoints) == (["kept"], ["kept"])
    assert not socket_folder(endpoints).exists()


async def test_socket_folder_of_somebody_else_is_refused(data_dir: Path) -> None:
    """A folder in /tmp that another could have made is not trusted."""
    deep = data_dir / ("deep/" * 30)
    with EmbeddedServers(data_dir=deep, postgres=False) as endpoints:
        folder = socket_folder(endpoints)
    folder.mkdir(mode=0o755)
    with pytest.raises(EmbeddedServersUnavailable, match="not a private folder"):
        EmbeddedServers(data_dir=deep, postgres=False).start()
    folder.rmdir()


async def test_only_the_main_thread_may_start(data_dir: Path) -> None:
    """Servers would end with the thread that started them, so another thread is refused."""
    refusals = []

    def start() -> None:
        with pytest.raises(EmbeddedServersUnavailable, match="main thread") as refused:
            EmbeddedServers(data_dir=data_dir).start()
        refusals.append(refused)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join(PATIENCE)
    assert len(refusals) == 1
    assert not data_dir.exists()


async def test_failure_is_one_line(data_dir: Path) -> None:
    """What cannot work says so in one line and leaves no process and no lock behind."""
    data_dir.write_text("not a folder")
    with pytest.raises(EmbeddedServersUnavailable) as refused:
        EmbeddedServers(data_dir=data_dir).start()
    assert "\n" not in str(refused.value)
    data_dir.unlink()

    with EmbeddedServers(data_dir=data_dir):
        pass
    (data_dir / "postgres/PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedServersUnavailable, match="version 17") as refused:
        EmbeddedServers(data_dir=data_dir).start()
    assert "\n" not in str(refused.value)
    assert processes_in(data_dir) == []
    (data_dir / "postgres/PG_VERSION").write_text("18\n")
    with EmbeddedServers(data_dir=data_dir) as endpoints:
        assert await is_empty(endpoints)
