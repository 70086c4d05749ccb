"""The outbox: events that left with a commit, told to caches and watchers at least once.

The process that committed tells at once and deletes the row. Whatever a crash or a dead Redis leaves, any worker tells
later (`replay`): caches and readers do not mind hearing twice.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import ResponseError
from sqlalchemy import any_, bindparam, cast, delete, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL, TEXT
from sqlalchemy.dialects.postgresql import UUID as UUID_TYPE
from sqlalchemy.ext.asyncio import AsyncConnection

from services.backends.database import Database
from services.backends.encoding import encode_json
from services.backends.events import channel_of
from services.backends.recent_writes import note_writes
from services.backends.redis import RedisAway, RedisGate
from services.backends.tags import raise_tags
from services.domain.events import Event
from services.models.outbox import OutboxRow

_log = logging.getLogger(__name__)

_REPLAY_LOCK = 0x4F555442
"""One worker replays at a time: two would tell one user's events out of order."""
_BATCH = 200
_DELETE_DELAY = 0.02
"""Seconds for which told rows are gathered, so that one statement deletes those of many transactions."""

_row = OutboxRow.__table__.c
_INSERT = insert(OutboxRow).returning(cast(func.pg_current_xact_id(), TEXT))
_DELETE = delete(OutboxRow).where(
    _row.id.in_(
        # A row that a replay holds is left to it.
        select(_row.id)
        .where(_row.id == any_(cast(bindparam("ids"), ARRAY(UUID_TYPE))))
        .with_for_update(skip_locked=True)
    )
)
_IS_LEFT = _row.created_at < func.clock_timestamp() - cast(bindparam("age"), INTERVAL)
_ANY_LEFT = select(select(_row.id).where(_IS_LEFT).exists())
_LEFT = (
    select(_row.id, _row.user_id, _row.kind, _row.payload, _row.tags)
    .where(_IS_LEFT)
    .order_by(_row.id)
    .limit(_BATCH)
    .with_for_update(skip_locked=True)
)
_LOCK = select(func.pg_try_advisory_xact_lock(_REPLAY_LOCK))


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An event with the id of its row; later ids are later events."""

    id: UUID
    event: Event


class OutboxRelay:
    """Writes events beside the change they tell of, and tells them once it is committed."""

    def __init__(self, *, database: Database, gate: RedisGate) -> None:
        self._database = database
        self._gate = gate
        self._told: list[UUID] = []
        self._deleting: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Wait until what was told is deleted."""
        if self._deleting is not None:
            await self._deleting

    async def write(self, connection: AsyncConnection, entries: Sequence[OutboxEntry]) -> str:
        """Put the rows into the caller's transaction, in one statement; gives the transaction's id (xid8)."""
        rows = [
            {
                "id": entry.id,
                "user_id": entry.event.user_id,
                "kind": entry.event.kind,
                "payload": entry.event.payload,
                "tags": list(entry.event.tags),
            }
            for entry in entries
        ]
        written = await connection.execute(_INSERT, rows)
        return str(written.scalars().first())

    async def tell(self, entries: Sequence[OutboxEntry]) -> None:
        """Raise the tags, publish the events, and have the rows deleted soon. Without Redis the rows stay for later,
        and so long this process does not read what the tags should have ended."""
        try:
            await self._announce([entry.event for entry in entries])
        except (RedisAway, ResponseError) as error:
            self._gate.distrust()
            _log.info("events wait in the outbox", extra={"count": len(entries), "reason": str(error)})
            return
        self._told.extend(entry.id for entry in entries)
        if self._deleting is None:
            self._deleting = asyncio.create_task(self._delete_told(), context=Context())

    async def replay(self, *, older_than: timedelta = timedelta(milliseconds=250)) -> int:
        """Tell what was committed before `older_than` and not told since; gives how many events that were.

        Safe in any number of workers: one of them works, the others find nothing to do.
        """
        told = 0
        while not self._gate.is_away:
            batch = await self._replay_batch(older_than)
            told += batch
            if batch < _BATCH:
                break
        return told

    async def _replay_batch(self, age: timedelta) -> int:
        async with self._database.connect() as connection:
            if not await connection.scalar(_ANY_LEFT, {"age": age}):
                return 0
        async with self._database.begin() as connection:
            if not await connection.scalar(_LOCK):
                return 0
            rows = (await connection.execute(_LEFT, {"age": age})).all()
            try:
                await self._announce([Event(row.user_id, row.kind, row.payload, tuple(row.tags)) for row in rows])
            except RedisAway:
                return 0
            await connection.execute(_DELETE, {"ids": [row.id for row in rows]})
        return len(rows)

    async def _announce(self, events: Sequence[Event]) -> None:
        """One round trip. Tags first: whoever hears of an event must not read what was cached before it; and before
        them who has written, for whoever then loads anew must do so where it was committed."""
        tags = sorted({tag for event in events for tag in event.tags})

        async def announce(client: Redis) -> None:
            pipeline = client.pipeline(transaction=False)
            note_writes(pipeline, {event.user_id for event in events})
            raise_tags(pipeline, tags)
            for event in events:
                pipeline.publish(channel_of(event.user_id), encode_event(event))
            await pipeline.execute()

        if events:
            await self._gate.run(announce)

    async def _delete_told(self) -> None:
        while self._told:
            await asyncio.sleep(_DELETE_DELAY)
            ids, self._told = self._told, []
            try:
                async with self._database.connect() as connection:
                    await connection.execute(_DELETE, {"ids": ids})
            except Exception:
                _log.info("told events are left for a replay to delete", exc_info=True)
        self._deleting = None


def encode_event(event: Event) -> bytes:
    """An event as it is published: `{"kind": …, "payload": …}`."""
    return encode_json({"kind": event.kind, "payload": event.payload})
