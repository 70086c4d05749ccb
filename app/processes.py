"""The processes of a deployment, one function each: API, worker, sandbox, migration. Each gives an exit code."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import Any, TypeVar

import structlog
import uvloop

from app.api import open_api, worker_api
from app.backends import Backends, open_backends
from app.complaints import Complaint
from app.container import Container
from app.endpoints import Endpoints
from app.foundations import utc_now
from app.keyring import find_secret_keys
from app.log import configure_logging
from app.memory import settle_memory
from app.parts import PLAIN, Parts
from app.revisions import check_revision, check_road
from app.serving import bind, serving
from app.settings import Settings, milliseconds
from app.shutdown import LastWords, stop_on_signals
from services.domain.health import HealthStatus
from services.queries.restoring import is_fenced
from services.queries.server import find_revision

log = structlog.get_logger(__name__)

Result = TypeVar("Result")


class RestoreUnfinished(Complaint):
    """What was due since the backup may be out already: nothing may serve or publish yet."""


def serve_api(settings: Settings) -> int:
    """The API, until a signal."""

    async def serve(container: Container) -> None:
        last_words = LastWords()
        stop = stop_on_signals(last_words=last_words)
        listener = bind(settings.host, settings.port, setting="PORT")
        grace = milliseconds(settings.shutdown_grace)
        async with (
            open_api(container) as api,
            serving(api.app, listener, grace=grace, is_production=settings.is_production),
        ):
            last_words.say = api.cut_short
            settle_memory()
            log.info("api.serving", url=settings.external_url)
            await stop.wait()
            await api.begin_shutdown()

    return run_with_container(settings, serve)


def run_worker(settings: Settings) -> int:
    """A worker, until a signal; with WORKER_PORT set it tells its health there, also while it drains."""

    async def work(container: Container) -> None:
        stop = stop_on_signals(then=container.health.begin_stopping)
        worker = container.worker()
        container.health.watch("worker", worker.check, HealthStatus.UNFIT)
        settle_memory()
        if settings.worker_port is None:
            await worker.run(stop)
            return
        listener = bind(settings.host, settings.worker_port, setting="WORKER_PORT")
        async with serving(worker_api(container), listener, grace=milliseconds(1_000)):
            await worker.run(stop)

    return run_with_container(settings, work)


def serve_sandbox(settings: Settings) -> int:
    """The sandbox, until a signal."""
    start_logging(settings)

    async def serve() -> None:
        stop = stop_on_signals()
        async with sandbox_of(settings):
            log.info("sandbox.serving", url=settings.sandbox_url)
            await stop.wait()

    run_loop(serve())
    return 0


def migrate_only(settings: Settings, revision: str, *, may_lose_data: bool) -> bool:
    """The database at `revision`; False where it was there already."""
    from app.migrating import migrate_database

    start_logging(settings)
    check_road(through_pgbouncer=settings.db_through_pgbouncer)
    with endpoints_of(settings) as endpoints:
        return run_loop(migrate_database(endpoints.database_url, revision=revision, may_lose_data=may_lose_data))


def run_with_container(settings: Settings, main: Callable[[Container], Awaitable[None]]) -> int:
    """Run `main` with every service open."""
    start_logging(settings)
    with endpoints_of(settings) as endpoints:

        async def opened() -> None:
            async with open_container(settings, endpoints) as container:
                await main(container)

        run_loop(opened())
    return 0


@asynccontextmanager
async def open_container(
    settings: Settings, endpoints: Endpoints, *, migrates: bool = False
) -> AsyncIterator[Container]:
    """A container over open backends; `migrates` as in `open_migrated`. Raises RestoreUnfinished on a restored database
    that `python -m app restored` has not seen."""
    async with (
        parts_of(settings) as parts,
        open_migrated(settings, endpoints, parts, migrates=migrates) as backends,
    ):
        async with backends.database.connect() as c:
            if await is_fenced(c):
                raise RestoreUnfinished(
                    "this database was restored from a backup: run `python -m app restored` before any API or worker"
                )
        container = Container(settings, endpoints, find_secret_keys(settings), backends, parts=parts)
        async with container.metrics.watching_loop():
            yield container


def parts_of(settings: Settings) -> AbstractAsyncContextManager[Parts]:
    """What the process is built from: traced where somebody collects traces, plain everywhere else."""
    if settings.traces_endpoint is None:
        return nullcontext(PLAIN)
    from app.tracing import open_tracing

    return open_tracing(settings)


@asynccontextmanager
async def open_migrated(
    settings: Settings, endpoints: Endpoints, parts: Parts = PLAIN, *, migrates: bool = False
) -> AsyncIterator[Backends]:
    """Open backends, on a database that is as new as this code.

    A server of our own is brought there, since nobody else does it; another's only where this process `migrates`.
    Raises MigrationRefused where it is older.
    """
    if migrates or settings.database_url is None:
        from app.migrating import migrate_database  # a process that does not migrate need not carry it

        check_road(through_pgbouncer=settings.db_through_pgbouncer)
        await migrate_database(endpoints.database_url)
    async with open_backends(settings, endpoints, parts) as backends:
        async with backends.database.connect() as c:
            check_revision(await find_revision(c))
        yield backends


@asynccontextmanager
async def sandbox_of(settings: Settings) -> AsyncIterator[None]:
    """The sandbox, serving on its own port; what it published outlives it in the data folder."""
    from app.sandbox import create_sandbox  # which no deployment needs

    listener = bind("127.0.0.1", settings.sandbox_port, setting="SANDBOX_PORT")
    app = create_sandbox(
        public_url=settings.sandbox_url, journal=settings.data_dir / "sandbox" / "journal.jsonl", now=utc_now
    )
    async with serving(app, listener, grace=milliseconds(1_000)):
        yield


@contextmanager
def endpoints_of(settings: Settings) -> Iterator[Endpoints]:
    """Where PostgreSQL and Redis are: as set, else our own, joined where another process runs them already."""
    given = Endpoints(
        database_url="" if settings.database_url is None else settings.database_url.get_secret_value(),
        redis_url="" if settings.redis_url is None else settings.redis_url.get_secret_value(),
    )
    if given.database_url and given.redis_url:
        yield given
        return
    from app.embedded import EmbeddedServers  # whoever has servers need not carry what starts them

    embedded = EmbeddedServers(data_dir=settings.data_dir, postgres=not given.database_url, redis=not given.redis_url)
    with embedded as own:
        yield Endpoints(database_url=given.database_url or own.database_url, redis_url=given.redis_url or own.redis_url)


def start_logging(settings: Settings) -> None:
    """JSON where machines read, coloured lines where people do."""
    chosen = settings.log_format
    configure_logging(log_format=chosen.value if chosen else "json" if settings.is_production else "console")


def run_loop(main: Coroutine[Any, Any, Result]) -> Result:
    """One event loop from start to end."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
