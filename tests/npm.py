"""npm packages for tests: `node_with(folder)` gives a node that finds what the folder's package-lock.json pins.

Without npm, or without a network that it needs, the tests skip with a warning; where REQUIRE_NPM is set they fail.
"""

import hashlib
import os
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

from app.assets import AssetsUnavailable, find_node

_PINNED = ("package.json", "package-lock.json")


def install(folder: Path, cache: Path) -> tuple[str, Path]:
    """Node, and a copy of `folder` in `cache` with the packages it pins; installed once per state of the lock file."""
    stamp = hashlib.sha256(b"".join((folder / name).read_bytes() for name in _PINNED)).hexdigest()[:16]
    work = cache / stamp
    try:
        node = find_node()
        if not (work / "installed").exists():
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            for name in _PINNED:
                shutil.copyfile(folder / name, work / name)
            command = [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            environment = os.environ | {"PATH": f"{Path(node.node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
            subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=120, check=True)
            (work / "installed").touch()
    except (AssetsUnavailable, OSError, subprocess.SubprocessError) as error:
        _skip(f"{error} {getattr(error, 'stderr', '') or ''}".strip())
    for script in folder.glob("*.mjs"):
        shutil.copyfile(script, work / script.name)
    return node.node, work


def _skip(reason: str) -> None:
    missing = f"npm packages cannot be had here, and what needs them is NOT tested: {reason}"
    if os.environ.get("REQUIRE_NPM"):
        pytest.fail(missing)
    warnings.warn(pytest.PytestWarning(missing), stacklevel=3)
    pytest.skip(missing)
