"""What a mapping calls a word, which goes into JSON unescaped, the database holds to words."""

import re

import pytest
from sqlalchemy import CheckConstraint, Table

from services.queries.mappings import MAPPINGS
from services.queries.mappings.fields import Word

WORDS = [
    (mapping.table, field.name)
    for mapping in MAPPINGS.values()
    for field in mapping.fields.values()
    if isinstance(field, Word) and mapping.table is not None  # a page's own cursors are base64url
]


@pytest.mark.parametrize(("table", "column"), WORDS, ids=[f"{table.name}.{column}" for table, column in WORDS])
def test_words_need_no_escaping(table: Table, column: str) -> None:
    """Nothing but a few names of letters and underscores passes the column's own constraint."""
    [held] = [
        str(constraint.sqltext)
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint) and constraint.name == f"ck_{table.name}_{column}"
    ]
    assert re.fullmatch(rf"{column} IN \(('[A-Z_]+'(, )?)+\)", held)
    assert not table.c[column].nullable
