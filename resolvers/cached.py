"""Caching per resolver: a read that many operations repeat is answered from Redis until something it shows changes.

Only what PostgreSQL holds and a commit's tags tell of is worth it; live state (breakers, quotas, the queue) never is.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from functools import wraps
from hashlib import blake2b
from typing import Any, Concatenate, ParamSpec, TypeVar, get_type_hints

import orjson
from pydantic import TypeAdapter

from resolvers.context import Context
from services.domain.caching import CacheScope

P = ParamSpec("P")
T = TypeVar("T")

Read = Callable[Concatenate[Context, P], Coroutine[Any, Any, T]]


def cached(
    *, tags: Callable[P, Sequence[str]], ttl: timedelta | None = None, scope: CacheScope = CacheScope.VIEWER
) -> Callable[[Read[P, T]], Read[P, T]]:
    """Keep what a read answers until one of `tags` (of the same arguments) is raised, and no longer than `ttl`: without
    one, as long as the cache keeps things.

    The key is the read's name, its arguments (values that JSON can say) and, but for scope PUBLIC, the viewer. The
    answer goes through JSON and comes back as the type that the read declares.
    """

    def decorate(read: Read[P, T]) -> Read[P, T]:
        codec: TypeAdapter[T] = TypeAdapter(get_type_hints(read)["return"])

        @wraps(read)
        async def answer(context: Context, /, *args: P.args, **kwargs: P.kwargs) -> T:
            async def load() -> bytes:
                return codec.dump_json(await read(context, *args, **kwargs))

            found = await context.services.cache.get_or_set(
                _key(args, kwargs),
                load,
                resolver=read.__name__,
                viewer=context.asker.user.id if scope is CacheScope.VIEWER else None,
                scope=scope,
                ttl=ttl,
                tags=tags(*args, **kwargs),
            )
            return codec.validate_json(found or b"null")

        return answer

    return decorate


def _key(args: Sequence[object], kwargs: Mapping[str, object]) -> str:
    canonical = orjson.dumps([args, kwargs], default=str, option=orjson.OPT_SORT_KEYS)
    return blake2b(canonical, digest_size=16).hexdigest()
