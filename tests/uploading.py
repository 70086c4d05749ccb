"""An UploadService on real servers and a folder, and people to use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from sqlalchemy import text

from services.backends.database import Database
from services.backends.media_links import MediaLinks
from services.backends.objects import ObjectStore
from services.backends.outbox import OutboxRelay
from services.backends.redis import RedisGate
from services.backends.transactions import DatabaseTransactionService
from services.domain.ids import new_id
from services.domain.viewers import Role, Scope, User, Viewer
from services.uploads.service import UploadService

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass
class Uploading:
    """The service and what a test looks at or turns."""

    service: UploadService
    database: Database
    folder: Path
    clock: datetime = NOON

    async def a_viewer(self, *, scope: Scope = Scope.WRITE) -> Viewer:
        """A person who is in the database."""
        user = User(new_id(), "Ada", Role.PERSON, NOON)
        async with self.database.begin() as connection:
            await connection.execute(
                text("INSERT INTO users (id, name, role) VALUES (:id, :name, :role)"),
                {"id": user.id, "name": user.name, "role": user.role.value},
            )
        return Viewer(user, scope, "key:test")

    def files(self) -> list[Path]:
        """What lies in the store."""
        return [path for path in self.folder.rglob("*") if path.is_file()]


@asynccontextmanager
async def uploading(
    *, database_url: str, redis_url: str, folder: Path, most_bytes: int = 1_000_000
) -> AsyncIterator[Uploading]:
    """All of it, closed after the block."""
    database = Database(url=database_url, pool_min=1, pool_max=4)
    gate = RedisGate(url=redis_url)
    await database.open()
    await gate.open()
    outbox = OutboxRelay(database=database, gate=gate)
    transactions = DatabaseTransactionService(database=database, outbox=outbox, random=Random(1))  # noqa: S311 — jitter
    service = UploadService(
        database=database,
        transactions=transactions,
        objects=ObjectStore.at(str(folder)),
        links=MediaLinks(
            base_url="https://crier.example", keys=["key"], lifetime=timedelta(days=1), now=lambda: made.clock
        ),
        most_bytes=most_bytes,
        now=lambda: made.clock,
    )
    made = Uploading(service, database, folder)
    yield made
    await transactions.close()
    await outbox.close()
    await gate.close()
    await database.close()
