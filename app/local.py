"""`make run`: one process that is a whole Crier, with a demo in it and a few lines that say what to do next."""

import asyncio
import sys
from contextlib import AsyncExitStack

from app.api import open_api
from app.complaints import Complaint
from app.demo import DemoTokens, ensure_demo
from app.endpoints import Endpoints
from app.memory import settle_memory
from app.processes import endpoints_of, open_container, run_loop, sandbox_of, start_logging
from app.serving import bind, serving
from app.settings import Settings, milliseconds
from app.shutdown import stop_on_signals


def run_locally(settings: Settings) -> int:
    """Serve until a signal; gives the exit code."""
    if settings.is_production:
        raise Complaint("`run` makes a demo and a sandbox: in production start `serve` and `worker`")
    start_logging(settings)
    with endpoints_of(settings) as endpoints:
        run_loop(_serve(settings, endpoints))
    return 0


async def _serve(settings: Settings, endpoints: Endpoints) -> None:
    stop = stop_on_signals()
    grace = milliseconds(settings.shutdown_grace)
    listener = bind(settings.host, settings.port, setting="PORT")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sandbox_of(settings))
        container = await stack.enter_async_context(open_container(settings, endpoints, migrates=True))
        tokens = await ensure_demo(container)
        working = asyncio.create_task(container.worker().run(stop))
        api = await stack.enter_async_context(open_api(container, demo_token=tokens.person))
        await stack.enter_async_context(serving(api.app, listener, grace=grace))
        settle_memory()
        _print_welcome(settings, tokens)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await api.begin_shutdown()
        stop.set()  # where the worker broke, all ends, and its error is what is raised
        await asyncio.gather(working, stopping)


def _print_welcome(settings: Settings, tokens: DemoTokens) -> None:
    folder = settings.data_dir
    sys.stdout.write(
        f"""
Crier is running. Ctrl-C ends it; all data stays in {folder}.

  Explore the API     {settings.external_url}/graphql
  See what went out   {settings.sandbox_url}/
  Operate it          {settings.external_url}/admin#key={tokens.admin}
  Health              {settings.external_url}/api/v1/health/detailed

  Person's token      {tokens.person}   (also in {folder}/demo-token)
  Admin's token       {tokens.admin}   (also in {folder}/admin-token)

Next: open the first address, press Run in a tab, and watch the second one.
"""
    )
    sys.stdout.flush()
