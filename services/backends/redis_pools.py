"""Pools of connections to Redis: at one address, or wherever a set of sentinels says that the master is now.

    redis://[user:password@]host:port/db            rediss:// for TLS, unix:// for a socket
    redis+sentinel://[user:password@]host:port,host:port,…/name[/db]
                                                    rediss+sentinel:// for TLS, to sentinels and master alike

What may follow the `?` is redis-py's; `sentinel_username` and `sentinel_password` are for the sentinels, which want
credentials of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

_SENTINEL = "+sentinel"
_SENTINEL_PORT = 26_379
_ASKED_FOR = 1.0
"""Seconds that a sentinel may take at the longest: another is asked then."""


@dataclass(frozen=True, slots=True)
class _Followed:
    """What a URL with sentinels says."""

    sentinels: tuple[tuple[str, int], ...]
    name: str
    """What the sentinels call the master."""
    to_sentinels: Mapping[str, Any]
    to_master: Mapping[str, Any]


class _NoticingPool(ConnectionPool):
    """Replaces a connection that was reset while it was idle. redis-py does so only where the other side closed it in
    good order, and finds a reset out when it writes."""

    async def ensure_connection(self, connection: AbstractConnection) -> None:
        if was_reset(connection):
            await connection.disconnect(nowait=True)
        await super().ensure_connection(connection)


def was_reset(connection: AbstractConnection) -> bool:
    """Whether the other side broke the connection off, as far as the event loop has heard."""
    writer = connection._writer
    return writer is not None and writer.is_closing()


class _FollowingPool(_NoticingPool, SentinelConnectionPool):
    """Closes its connections to the sentinels, too."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


def make_pool(url: str, *, socket_timeout: float | None, **options: Any) -> ConnectionPool:
    """A pool for `url`. No command is sent twice by it: the pool finds out by itself which idle connections broke, and
    a second try would double a time-out. Raises ValueError where the URL makes no sense."""
    common = {
        "retry": Retry(NoBackoff(), 0),
        # Where Redis may announce its maintenance, redis-py no longer looks whether an idle connection was closed.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        # It would look its own version up in its files for every connection, to say it to Redis.
        "driver_info": None,
    }
    options |= {**common, "socket_timeout": socket_timeout}
    if not is_followed(url):
        return _NoticingPool.from_url(url, **options)
    followed = _read(url)
    patience = min(_ASKED_FOR, socket_timeout or _ASKED_FOR)
    asking = {**common, "socket_timeout": patience, "socket_connect_timeout": patience}
    sentinels = Sentinel(followed.sentinels, sentinel_kwargs={**asking, **followed.to_sentinels})  # type: ignore[no-untyped-call] # theirs
    return _FollowingPool(followed.name, sentinels, **{**options, **followed.to_master})  # type: ignore[no-untyped-call] # theirs


def is_followed(url: str) -> bool:
    """Whether sentinels say where this Redis is."""
    return url.partition("://")[0].endswith(_SENTINEL)


def check_url(url: str) -> None:
    """Raises ValueError, saying what would do instead."""
    scheme = url.partition("://")[0]
    if scheme.removesuffix(_SENTINEL) not in ("redis", "rediss") and scheme != "unix":
        raise ValueError("must begin with redis://, rediss://, unix://, redis+sentinel:// or rediss+sentinel://")
    if is_followed(url):
        _read(url)
    else:
        _parse(url)


def _read(url: str) -> _Followed:
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    address, _, path = place.partition("/")
    name, _, number = path.partition("/")
    credentials, at, hosts = address.rpartition("@")
    if not name or (number and not number.isdecimal()):
        raise ValueError("must name the master as its sentinels do: redis+sentinel://host:26379,host:26379/name/0")

    options = parse_qsl(query, keep_blank_values=True)
    own = {key.removeprefix("sentinel_"): value for key, value in options if key.startswith("sentinel_")}
    theirs = urlencode([(key, value) for key, value in options if not key.startswith("sentinel_")])
    # redis-py reads the rest as it would for one address.
    master = _parse(f"{scheme.removesuffix(_SENTINEL)}://{credentials}{at}/{number}?{theirs}")
    is_secret = master.pop("connection_class", None) is SSLConnection
    of_tls = {key: value for key, value in master.items() if key.startswith("ssl_")} | {"ssl": is_secret}
    return _Followed(tuple(map(_split_host, hosts.split(","))), name, of_tls | own, master | {"ssl": is_secret})


def _split_host(host: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        name, port = None, None
    if not name:
        raise ValueError("must name each sentinel by its host and port: redis+sentinel://host:26379,host:26379/name")
    return name, port or _SENTINEL_PORT


def _parse(url: str) -> dict[str, Any]:
    try:
        return dict(parse_url(url))
    except ValueError:  # its words may hold a piece of the password
        raise ValueError("is no URL of Redis; in a password, write %2F for /, %40 for @ and so on") from None
