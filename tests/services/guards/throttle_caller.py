"""One process of several that publish for one person: `throttle_caller.py DATABASE_URL CALLS`.

Prints `ready`, waits for a line, then makes all its calls at once and prints how many ran and how many were refused.
"""

import asyncio
import json
import sys
from datetime import timedelta

from services.backends.database import Database
from services.domain.accounts import Platform
from services.domain.errors import RateLimited
from services.guards.quotas import Quotas
from services.guards.rate_limiter import RateLimiterService


async def main(database_url: str, calls: int) -> None:
    database = Database(
        url=database_url,
        pool_min=2,
        pool_max=8,
        acquire_timeout=timedelta(seconds=20),
        lock_timeout=timedelta(seconds=20),
        statement_timeout=timedelta(seconds=20),
    )
    await database.open()
    limiter = RateLimiterService(database=database, quotas=Quotas(), limits={Platform.INSTAGRAM: 25})
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)

    async def publish() -> None:
        await asyncio.sleep(0.01)

    ends = await asyncio.gather(
        *(limiter.throttle("user:ada", Platform.INSTAGRAM, publish) for _ in range(calls)), return_exceptions=True
    )
    refused = sum(isinstance(end, RateLimited) for end in ends)
    others = sorted({repr(end) for end in ends if end is not None and not isinstance(end, RateLimited)})
    sys.stdout.write(json.dumps({"ran": sum(end is None for end in ends), "refused": refused, "others": others}) + "\n")
    await database.close()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
