"""What an operator decides about the edge; made from the settings at the composition root."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """Limits and switches of everything that faces the network."""

    is_production: bool = False
    """Over TLS then: browsers are told to insist on it."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may ask; none by default. They may open sockets too."""
    request_timeout: timedelta = timedelta(seconds=30)
    """For handlers that are not GraphQL, and for the arrival of bodies."""
    most_body_bytes: int = 1_000_000
    """Of a GraphQL request, variables included, and of a WebSocket message: the longest caption that a platform takes
    (63,206 characters) may need 12 bytes for each of them. What a document may hold is limited by itself."""
    operations_per_socket: int = 100
    init_patience: timedelta = timedelta(seconds=10)
    """How long a socket may stay open without `connection_init`."""
    recheck_every: timedelta = timedelta(seconds=60)
    """How often the credential of an open socket or stream is looked at again."""
    heartbeat_every: timedelta = timedelta(seconds=15)
    """Comments that keep an event stream alive through proxies."""
