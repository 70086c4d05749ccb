"""Where PostgreSQL and Redis are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoints:
    """What the rest of the product connects to; empty where a server was not asked for."""

    database_url: str
    redis_url: str
