"""GraphQL documents by the SHA-256 of their text, so that clients need not send what they sent before.

All processes share them in Redis, and each remembers the last ones itself. What is lost is sent again: that is the
protocol.
"""

import hashlib
from collections import OrderedDict
from datetime import timedelta

from redis.exceptions import RedisError

from services.backends.redis import RedisAway, RedisGate

_LIFE = timedelta(days=30)
_INDEX = "crier:documents"
_WITHOUT = (RedisAway, RedisError)

_KEEP = """
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('ZADD', KEYS[2], redis.call('TIME')[1], KEYS[1])
local surplus = redis.call('ZCARD', KEYS[2]) - ARGV[3]
if surplus > 0 then
    local oldest = redis.call('ZPOPMIN', KEYS[2], surplus)
    for i = 1, #oldest, 2 do redis.call('DEL', oldest[i]) end
end
redis.call('EXPIRE', KEYS[2], ARGV[2])
"""
"""Keeps one more, and as many as there may be; the oldest go first."""


class DocumentStore:
    """At most `most` documents in Redis, and `remembered` of them here."""

    def __init__(self, *, gate: RedisGate, most: int = 5_000, remembered: int = 500) -> None:
        self._gate = gate
        self._most = most
        self._remembered = remembered
        self._keep = gate.client.register_script(_KEEP)
        self._texts: OrderedDict[str, str] = OrderedDict()

    async def find(self, digest: str) -> str | None:
        """The text behind a hash (64 hex digits); None where nobody knows it, or Redis cannot be asked."""
        text = self._texts.get(digest)
        if text is not None:
            self._texts.move_to_end(digest)
            return text
        try:
            [found] = await self._gate.read_many([_key(digest)])
        except _WITHOUT:
            return None
        text = None if found is None else found.decode()
        if text is None or digest_of(text) != digest:
            return None
        self._remember(digest, text)
        return text

    async def keep(self, text: str) -> None:
        """Let all processes know a text; one that this process knows is known."""
        digest = digest_of(text)
        if digest in self._texts:
            return
        self._remember(digest, text)
        keys = [_key(digest), _INDEX]
        args: list[str | int] = [text, round(_LIFE.total_seconds()), self._most]
        try:
            await self._gate.run(lambda client: self._keep(keys, [*args], client))
        except _WITHOUT:
            del self._texts[digest]  # so that it is kept the next time

    def _remember(self, digest: str, text: str) -> None:
        self._texts[digest] = text
        if len(self._texts) > self._remembered:
            self._texts.popitem(last=False)


def digest_of(text: str) -> str:
    """The SHA-256 of a text in UTF-8, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _key(digest: str) -> str:
    return f"crier:document:{digest}"
