"""The mark of the code: what is cached belongs to it."""

from pathlib import Path

import pytest

from app.backends import open_backends
from app.embedded import Endpoints
from app.settings import Settings
from app.versions import code_mark, mark_of
from services.domain.caching import CacheScope


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A few files of code, and others."""
    for name in ("schema/posts.py", "services/guards/script.lua", "services/notes.txt", "app/cli.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")
    return tmp_path


@pytest.mark.parametrize("name", ["schema/posts.py", "services/guards/script.lua"])
def test_any_change_of_what_answers_changes_the_mark(root: Path, name: str) -> None:
    """A character, a new file, or the same text in another file."""
    marks = [mark_of(root)]
    (root / name).write_text("x")
    marks.append(mark_of(root))
    (root / name).rename((root / name).with_name("renamed.py"))
    marks.append(mark_of(root))
    (root / "resolvers").mkdir()
    (root / "resolvers/new.py").touch()
    marks.append(mark_of(root))
    assert len(set(marks)) == 4


@pytest.mark.parametrize("name", ["services/notes.txt", "app/cli.py"])
def test_what_has_no_part_in_answers_leaves_the_mark(root: Path, name: str) -> None:
    """Nothing is loaded anew for its sake."""
    before = mark_of(root)
    (root / name).write_text("x")
    assert mark_of(root) == before


async def test_what_is_cached_belongs_to_this_very_code(database_url: str, redis_url: str, tmp_path: Path) -> None:
    """The mark is in the keys of the running product."""
    endpoints = Endpoints(database_url=database_url, redis_url=redis_url)
    async with open_backends(Settings(data_dir=tmp_path), endpoints) as backends:
        await backends.cache.get_or_set("key", _value, resolver="test", viewer=None, scope=CacheScope.PUBLIC)
        assert len(await backends.gate.client.keys(f"crier:cache:{code_mark()}:*")) == 1
        await backends.gate.client.flushdb()


async def _value() -> bytes:
    return b"value"
