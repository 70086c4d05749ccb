"""Work on the table `things` of the `db` fixture, and looks at what came of it."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text

from services.backends.database import Database
from services.backends.transactions import Transaction


def counting(calls: list[str], name: str) -> Callable[[], Awaitable[None]]:
    """A callback that notes that it ran."""

    async def callback() -> None:
        calls.append(name)

    return callback


def add(amount: int, *, to: int = 1) -> Any:
    """Work that adds to one thing's count."""

    async def work(tx: Transaction) -> None:
        await tx.connection.execute(
            text("UPDATE things SET count = count + :amount WHERE id = :id"), {"amount": amount, "id": to}
        )

    return work


async def counts(db: Database) -> list[int]:
    """The counts of all things."""
    async with db.connect() as connection:
        return list((await connection.scalars(text("SELECT count FROM things ORDER BY id"))).all())


async def outbox_size(db: Database) -> int:
    """How many events wait."""
    async with db.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM outbox")))
