"""Who keeps guessing at the door waits: back-off on authentication, by address and by key."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection

from services.domain.credentials import read_api_key
from services.domain.errors import Unproven
from services.domain.viewers import Viewer
from services.guards.failures import FailedAttempts

Identify = Callable[[str], Awaitable[Viewer]]

_KEPT = 10_000


class Doorkeeper:
    """Lets a credential be looked at, unless too many wrong ones came from where it comes from, or for its key.

    Who was let in with the very same credential from the very same address lately is never kept waiting: a stranger's
    guesses at a key, or a neighbour's, do not lock its owner out.
    """

    def __init__(self, failures: FailedAttempts) -> None:
        self._failures = failures
        self._known: OrderedDict[int, None] = OrderedDict()

    async def admit(self, authorization: str, address: str, identify: Identify) -> Viewer:
        """Whom `identify` finds. Raises what it raises, or RateLimited while there is a wait."""
        visitor = hash((authorization, address))
        if visitor not in self._known:
            self._failures.check(_names(authorization, address))
        try:
            viewer = await identify(authorization)
        except Unproven:
            self._known.pop(visitor, None)
            await self._failures.note(_names(authorization, address))
            raise
        self._remember(visitor)
        return viewer

    def _remember(self, visitor: int) -> None:
        self._known[visitor] = None
        self._known.move_to_end(visitor)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)


def address_of(connection: HTTPConnection) -> str:
    """Where a connection comes from: an IPv4 address, or the network that one customer has of IPv6."""
    client = connection.scope.get("client")
    return "" if client is None else _customer_of(client[0])


@lru_cache(maxsize=10_000)
def _customer_of(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return host


def _names(authorization: str, address: str) -> list[str]:
    key = read_api_key(authorization.partition(" ")[2].strip())
    return [f"address:{address}", *([] if key is None else [f"key:{key.key_id.hex}"])]
