"""What the README promises is what the code does."""

import re
import tomllib
from pathlib import Path

import pytest
from graphql import parse, validate

from app.settings import Settings
from schema.build import build_schema
from services.domain.errors import CATALOGUE

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def error_table() -> str:
    """The catalogue as the README shows it."""
    lines = ["| code | meaning | retryable |", "|---|---|---|"]
    lines += [
        f"| `{code}` | {facts.meaning} | {'yes' if facts.retryable else ''} |" for code, facts in CATALOGUE.items()
    ]
    return "\n".join(lines)


def test_every_error_code_is_listed() -> None:
    """The table is the catalogue, word by word."""
    shown = re.search(r"<!-- error codes -->\n(.*)\n<!-- /error codes -->", README, re.S)
    assert shown is not None
    assert shown[1] == error_table(), "paste this:\n" + error_table()


def test_documents_are_no_wider_than_code() -> None:
    """120 characters, tables apart."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "deploy").rglob("*.md"), *(ROOT / "schema").glob("*.md")]
    wide = [
        f"{document.relative_to(ROOT)}:{number}"
        for document in documents
        for number, line in enumerate(document.read_text().splitlines(), 1)
        if len(line) > 120 and not line.startswith("|")
    ]
    assert wide == []


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_listed(name: str) -> None:
    """By its variable; platforms' own are listed once, for Instagram."""
    variable = re.sub(r"^(FACEBOOK|YOUTUBE)_", "INSTAGRAM_", name.upper())
    assert f"`{variable}`" in README


@pytest.mark.parametrize("document", re.findall(r"```graphql\n(.*?)```", README, re.S))
def test_every_example_fits_the_schema(document: str) -> None:
    """An example that does not validate helps nobody."""
    assert validate(build_schema()._schema, parse(document)) == []


def test_every_dependency_is_named_with_its_purpose() -> None:
    """Nothing comes in unexplained."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"].values()
    wanted = [*project["project"]["dependencies"], *(d for group in groups for d in group if isinstance(d, str))]
    table = README.split("## Dependencies")[1]
    assert [name for d in wanted if (name := re.match(r"[\w-]+", d)[0]) not in table] == []  # type: ignore[index]
