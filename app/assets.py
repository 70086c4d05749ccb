"""Builds what browser pages load, from pinned npm packages, once per state of the sources: `python -m app.assets`."""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from app.npm import NpmUnavailable, find_node

PAGES = Path(__file__).parent / "pages"
SOURCES = (".json", ".mjs", ".js", ".jsx", ".css", ".graphql")
"""How the files end that are built; what else is among the pages is served as it is."""
ASSETS = Path(__file__).parent.parent / ".assets"


class AssetsUnavailable(Exception):
    """The assets cannot be built here; the message says in one line why."""


def assets_stamp(pages: Path = PAGES) -> str:
    """Names one state of the sources; built assets live in a folder of this name, so they may be cached for ever."""
    digest = hashlib.sha256()
    for name in list_sources(pages):
        digest.update(f"{name}\0".encode() + (pages / name).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def list_sources(pages: Path = PAGES) -> list[Path]:
    """What assets are built from, relative to `pages`, in a fixed order."""
    found = (path.relative_to(pages) for path in pages.rglob("*") if path.suffix in SOURCES)
    return sorted(path for path in found if path.parts[0] != "examples")


def build_assets(folder: Path = ASSETS) -> Path:
    """The folder of the present sources' assets, built if it is not there yet.

    Raises AssetsUnavailable where there is no npm, or no network that it needs.
    """
    built = folder / assets_stamp()
    if built.is_dir():
        return built

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as work:
        _bundle(Path(work))
        try:
            (Path(work) / "built").rename(built)
        except OSError:  # another build of the same sources was quicker
            if not built.is_dir():
                raise
    _remove_others(folder, built)
    return built


def find_assets(folder: Path = ASSETS) -> Path | None:
    """The folder of the present sources' assets, None where they were not built."""
    built = folder / assets_stamp()
    return built if built.is_dir() else None


def _bundle(work: Path) -> None:
    for name in list_sources():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PAGES / name, work / name)
    try:
        node = find_node()
        node.install(work)
        node.run([node.node, "build.mjs", "built"], work)
    except NpmUnavailable as error:
        raise AssetsUnavailable(f"The browser pages were not built: {error}") from error


def _remove_others(folder: Path, kept: Path) -> None:
    for child in folder.iterdir():
        if child.is_dir() and child != kept and not child.name.startswith("build-"):
            shutil.rmtree(child, ignore_errors=True)


if __name__ == "__main__":
    try:
        build_assets()
    except AssetsUnavailable as unavailable:
        sys.exit(str(unavailable))
