"""Dashboards, rules and the runbook speak of metrics that exist, with labels they have, and of nothing else."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from app.metrics.catalogue import CATALOGUE, Kind
from services.domain.accounts import Platform
from services.domain.breakers import BreakerState
from services.domain.errors import ErrorCode
from services.domain.posts import AttemptOutcome, TargetStatus
from services.queries.queue import OPEN_STATES

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
RULE_FILES = ("recording.rules.yml", "alerts.rules.yml")
GIVEN = {"job", "instance"}
"""Labels that Prometheus itself adds."""
VALUES: dict[tuple[str, str], set[str]] = {
    ("crier_breaker_state", "state"): {state.value for state in BreakerState},
    ("crier_breaker_state", "breaker"): {platform.breaker for platform in Platform},
    ("crier_targets", "status"): {TargetStatus(state).value for state in OPEN_STATES},
    ("crier_attempts_total", "outcome"): {outcome.value for outcome in AttemptOutcome},
    ("crier_attempts_total", "code"): {code.value for code in ErrorCode} | {"none"},
    ("crier_errors_total", "code"): {code.value for code in ErrorCode},
    ("crier_operations_total", "outcome"): {"ok", "refused", "failed"},
    ("crier_operation_seconds", "field"): {"posts", "accounts"},
    ("crier_cache_answers_total", "result"): {"hits", "stale", "misses", "errors", "too_large"},
}


def rules() -> list[dict[str, Any]]:
    """All recording and alerting rules."""
    groups = [group for name in RULE_FILES for group in load(name)["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def load(name: str) -> dict[str, Any]:
    """One of Prometheus's files."""
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / name).read_text())
    return loaded


def alerts() -> list[dict[str, Any]]:
    """The alerting rules."""
    return [rule for rule in rules() if "alert" in rule]


RECORDED = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


def dashboard_expressions() -> Iterator[tuple[str, str]]:
    """Each query of the dashboard, with where it stands."""
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "crier.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


EXPRESSIONS = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()] + list(dashboard_expressions())


def selectors(node: Any) -> Iterator[promql.VectorSelector]:
    """Everything that an expression reads."""
    if isinstance(node, promql.VectorSelector):
        yield node
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        if (below := getattr(node, name, None)) is not None:
            yield from selectors(below)
    for argument in getattr(node, "args", ()):
        yield from selectors(argument)


def groupings(node: Any) -> Iterator[tuple[Any, list[str]]]:
    """Each aggregation and the labels it keeps."""
    modifier = getattr(node, "modifier", None)
    if isinstance(node, promql.AggregateExpr) and modifier is not None:
        yield node, list(modifier.labels)
    for name in ("lhs", "rhs", "expr"):
        if (below := getattr(node, name, None)) is not None:
            yield from groupings(below)
    for argument in getattr(node, "args", ()):
        yield from groupings(argument)


def labels_of(name: str) -> set[str]:
    """The labels of a series; raises KeyError for one that nobody makes."""
    if name == "up":
        return GIVEN
    if name in RECORDED:
        kept = [label for _, labels in groupings(promql.parse(RECORDED[name])) for label in labels]
        return set(kept) - {"le"}
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    if base != name and CATALOGUE[base].kind is Kind.HISTOGRAM:
        return {*CATALOGUE[base].labels, *GIVEN} | ({"le"} if name.endswith("_bucket") else set())
    return {*CATALOGUE[name].labels, *GIVEN}


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_every_expression_reads_what_exists(where: str, expression: str) -> None:
    """By its names, its labels, and the values that labels can have."""
    found = list(selectors(promql.parse(expression)))
    assert found, where
    for selector in found:
        known = labels_of(selector.name)
        for matcher in selector.matchers.matchers:
            assert matcher.name in known, f"{where}: {selector.name} has no label {matcher.name}"
            base = re.sub(r"_(bucket|count|sum)$", "", selector.name)
            possible = VALUES.get((base, matcher.name))
            if possible is not None:
                assert set(matcher.value.split("|")) <= possible | {""}, f"{where}: {matcher.value}"
            if matcher.name == "le":
                assert float(matcher.value) in CATALOGUE[base].buckets, f"{where}: no bucket ends at {matcher.value}"


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_every_grouping_keeps_labels_that_are_there(where: str, expression: str) -> None:
    """`sum by (platfrom)` would sum everything, and nobody would see."""
    for node, kept in groupings(promql.parse(expression)):
        there = set().union(*(labels_of(selector.name) for selector in selectors(node)))
        assert set(kept) <= there, where


def test_the_dashboard_shows_everything_that_is_counted() -> None:
    """A metric nobody looks at is a cost; a panel's legend names labels its query gives."""
    shown = {selector.name for _, expression in EXPRESSIONS for selector in selectors(promql.parse(expression))}
    through = {selector.name for name in shown & set(RECORDED) for selector in selectors(promql.parse(RECORDED[name]))}
    bases = {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown | through}
    assert {name for name in CATALOGUE if name.startswith("crier_")} <= bases


def anchors() -> dict[str, str]:
    """The runbook's sections by their anchors."""
    parts = re.split(r"^## (.+)$", (DEPLOY / "runbook.md").read_text(), flags=re.M)[1:]
    return {title.strip().lower(): text for title, text in zip(parts[::2], parts[1::2], strict=True)}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_has_its_section_in_the_runbook(alert: dict[str, Any]) -> None:
    """With something to do in it; who is woken, and what it says, is stated."""
    path, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert path == "deploy/runbook.md"
    assert anchor == alert["alert"].lower()
    assert len(anchors()[anchor].split()) >= 10
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"]["summary"]


def test_the_runbook_has_no_section_without_an_alert() -> None:
    """What no longer wakes anybody is taken out."""
    assert set(anchors()) == {alert["alert"].lower() for alert in alerts()}


def test_links_within_the_runbook_lead_somewhere() -> None:
    """By the headings' anchors."""
    linked = set(re.findall(r"\]\(#([\w-]+)\)", (DEPLOY / "runbook.md").read_text()))
    assert linked <= set(anchors())


def test_each_objective_burns_fast_and_slowly() -> None:
    """Two windows each, the short one ending the alert; the goal is the one that is stated."""
    goals = {"punctuality": 0.001, "pages": 0.01, "operations": 0.001}
    for name, allowance in goals.items():
        burning = [alert for alert in alerts() if f"crier:{name}:" in alert["expr"]]
        assert [alert["labels"]["severity"] for alert in burning] == ["page", "ticket"]
        for alert in burning:
            assert len(set(re.findall(r"ratio_rate(\w+)", alert["expr"]))) == 2
            assert set(re.findall(r"\* ([\d.]+)", alert["expr"])) == {f"{allowance:g}"}


def test_every_window_of_an_objective_asks_the_same_question() -> None:
    """Another bound or span in one of them alone would burn another allowance; 5 s and 50 ms are what is stated."""
    for name, bounds in {"punctuality": {"5.0"}, "pages": {"0.05"}, "operations": set()}.items():
        prefix = f"crier:{name}:ratio_rate"
        asked = {record.removeprefix(prefix): expr for record, expr in RECORDED.items() if record.startswith(prefix)}
        assert len(asked) >= 4
        assert len({expr.replace(f"[{window}]", "[…]") for window, expr in asked.items()}) == 1
        assert set(re.findall(r'le="([\d.]+)"', " ".join(asked.values()))) == bounds


def test_the_rules_say_what_they_should_of_bad_days() -> None:
    """Prometheus's own tool checks the files and runs their scenarios."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian: the package `prometheus`) is not on the PATH: rules were parsed, not run")
    for order in (["check", "rules", *RULE_FILES], ["test", "rules", "rules.test.yml"]):
        done = subprocess.run(
            [promtool, *order], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
