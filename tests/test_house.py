"""The house keeps its measure: small files, small functions, everything said, nothing left over."""

import ast
import re
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("app", "schema", "resolvers", "services")
FILES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))

LONGEST_FILE = 300
LONGEST_FUNCTION = 50
USUAL_FUNCTION = 25
"""Nine of ten functions are no longer."""


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """Every function with its length in lines, its docstring left out: prose is no complexity."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                first = node.body[0]
                if ast.get_docstring(node) is not None:
                    lines -= (first.end_lineno or first.lineno) - first.lineno + 1
                yield path, node, lines


def test_files_are_short() -> None:
    """No file has more than 300 lines, and the usual one is far shorter."""
    lengths = {path: len(path.read_text().splitlines()) for path in FILES}
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LONGEST_FILE} == {}
    assert statistics.median(lengths.values()) <= 100


def test_functions_are_short() -> None:
    """None over 50 lines, nine of ten within 25."""
    found = list(functions())
    assert [f"{path.name}:{node.name} {n}" for path, node, n in found if n > LONGEST_FUNCTION] == []
    assert statistics.quantiles([n for _, _, n in found], n=10)[-1] <= USUAL_FUNCTION


def test_no_module_has_a_name_that_says_nothing() -> None:
    """`utils` is where things go that nobody placed."""
    nameless = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert [str(path) for path in FILES if nameless & set(path.with_suffix("").parts)] == []


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "NotImplementedError", "pragma: no cover"])
def test_nothing_is_left_for_later(word: str) -> None:
    """What is not built is not there."""
    assert [str(path.relative_to(ROOT)) for path in FILES if word in path.read_text()] == []


def test_each_exception_from_a_rule_gives_its_reason() -> None:
    """`noqa` and `type: ignore` name their code, and say why on the same line."""
    bare = []
    for path in [*FILES, *sorted((ROOT / "migrations").rglob("*.py"))]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            exception = re.search(r"#\s*(noqa|type: ignore)(.*)", line)
            if exception and not re.match(
                r"(: [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)*|\[[a-z-, ]+\])\s*\S+.*\w{2}", exception[2]
            ):
                bare.append(f"{path.relative_to(ROOT)}:{number}")
    assert bare == []


def test_the_environment_is_read_in_one_room() -> None:
    """Settings come in by the constructor; only `app` may look at the environment."""
    outside = [path for path in FILES if "app" not in path.relative_to(ROOT).parts[:1]]
    assert [str(path) for path in outside if re.search(r"os\.environ|getenv", path.read_text())] == []


def test_the_top_level_is_what_was_agreed() -> None:
    """Rooms and tooling files, nothing else."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    folders = {name.split("/")[0] for name in listed if "/" in name}
    assert folders <= {*FLOORS, "migrations", "tests", "benchmarks", "deploy", ".ci", ".github"}


def test_migrations_form_one_line() -> None:
    """Numbered without a gap, each after the one before it: two written side by side are found when they meet."""
    files = sorted((ROOT / "migrations" / "versions").glob("*.py"))
    said = [dict(re.findall(r'^(revision|down_revision) = (?:"(\d+)")?', path.read_text(), re.M)) for path in files]
    numbers = [f"{number:04d}" for number in range(1, len(files) + 1)]
    assert [path.name[:4] for path in files] == numbers
    assert [one["revision"] for one in said] == numbers
    assert [one["down_revision"] for one in said] == ["", *numbers[:-1]]
