"""Which classes a process is built from. Tracing puts its own in their place; without it, nothing of it is imported."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.middleware import Middleware

from app.sockets import SocketHandler
from services.backends.redis import RedisGate
from services.backends.statements import BoundedConnection
from services.publishing.publisher import Publisher


@dataclass(frozen=True, slots=True)
class Parts:
    """What is made by which class."""

    connection: type[BoundedConnection] = BoundedConnection
    gate: Callable[..., RedisGate] = RedisGate
    publisher: Callable[..., Publisher] = Publisher
    sockets: type[SocketHandler] = SocketHandler
    middleware: tuple[Middleware, ...] = ()
    """Sees a request after it has its id, and before everything else."""


PLAIN = Parts()
