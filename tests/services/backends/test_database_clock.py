"""The clock that all processes share."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from services.backends.database import Database
from services.backends.database_clock import DatabaseClock


async def test_time_does_not_go_back_for_a_reading_that_took_long(db: Database) -> None:
    """Two readings differ by what their questions took; a database whose own clock was put back is followed."""
    clock = DatabaseClock(database=db, wall=lambda: datetime.now(UTC))
    await clock.set()
    told = clock.now()
    assert clock._known is not None
    moment, read_at = clock._known

    clock._known = moment - timedelta(milliseconds=300), read_at
    assert clock.now() == told

    clock._known = moment - timedelta(minutes=5), read_at
    assert told - clock.now() > timedelta(minutes=4)


async def test_the_database_tells_the_time_whatever_the_wall_clock_says(db: Database) -> None:
    """A machine a day ahead goes by the database as soon as it was asked, and no jump of its own reaches it then."""
    ahead = timedelta(days=1)
    clock = DatabaseClock(database=db, wall=lambda: datetime.now(UTC) + ahead)
    assert clock.now() - datetime.now(UTC) > timedelta(hours=23)

    await clock.set()
    ahead = timedelta(days=-3)

    async with db.connect() as connection:
        before = clock.now()
        moment = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
        after = clock.now()
    slack = timedelta(milliseconds=50)
    assert before - slack <= moment <= after + slack
    assert before < after, "it goes on by itself"
