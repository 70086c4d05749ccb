"""What every table shares: naming of constraints, column types, and the base class."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, MetaData, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

Key = Annotated[UUID, mapped_column(primary_key=True)]
"""A time-ordered UUID made by `services.domain.ids.new_id`."""
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Created = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]
Json = Annotated[dict[str, Any], mapped_column(JSONB)]


class Base(DeclarativeBase):
    """All tables; text is unbounded in the database and bounded by the rules."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text()}


def table_of(row: type[Base]) -> Table:
    """The table behind a mapped class, typed as what it is."""
    table = row.__table__
    assert isinstance(table, Table)  # noqa: S101 - SQLAlchemy's own typing is wider than what declarative mapping makes
    return table


def one_of(column: str, values: Iterable[StrEnum]) -> CheckConstraint:
    """Text held to an enum's values: changing a list of values needs no rewrite of the table."""
    listed = ", ".join(f"'{value.value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)
