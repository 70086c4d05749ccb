"""How cached values lie in Redis.

    crier:cache:<deploy>:<owner>:<resolver>:<key>   header, the versions of the tags, the value
    …:lock:<versions>                               who loads it under these versions, for a few seconds at most
    crier:tag:<tag>                                 the tag's version (see `services.backends.tags`)

The header says whether there is a value or the certainty that there is none, how many tags follow, and until when
(seconds since 1970) it is fresh. Redis 6.2 runs the scripts; being atomic, they let one loader through.
"""

import asyncio
import secrets
import struct
from contextvars import Context
from datetime import timedelta
from typing import Final, NamedTuple, cast

from redis.asyncio import Redis

from services.backends.redis import RedisAway, RedisGate
from services.backends.tags import LIFETIME, VERSION_BYTES, new_version

Keys = tuple[str, ...]
"""Where a value lies, then the keys of its tags."""

_TAGS_LIVE = round(LIFETIME.total_seconds())
_Word = bytes | bytearray | memoryview | str | int | float
_HEADER = struct.Struct(">?Bd")

_VERSIONS: Final = """
local stamp = ''
for i = 2, #KEYS do
    local version = redis.call('GET', KEYS[i])
    if not version then
        version = ARGV[#ARGV - #KEYS + i]
        redis.call('SET', KEYS[i], version, 'EX', ARGV[1])
    end
    stamp = stamp .. version
end
"""
"""Reads the versions of all tags; one that has none gets the new one that stands for it at the end of ARGV."""

_MAKE_VERSIONS: Final = _VERSIONS + "return stamp"
"""ARGV: the tags' lifetime. Like the other scripts it takes the keys of `Keys`, though it does not touch the value."""

_CLAIM: Final = (
    _VERSIONS
    + """
local blob = redis.call('GET', KEYS[1])
if blob and string.byte(blob, 2) == #KEYS - 1 and string.sub(blob, 11, 10 + #stamp) == stamp
    and string.sub(blob, 1, 10) ~= ARGV[4] then
    return {blob, stamp, 0}
end
local claimed = redis.call('SET', KEYS[1] .. ':lock:' .. stamp, ARGV[2], 'NX', 'PX', ARGV[3])
return {false, stamp, claimed and 1 or 0}
"""
)
"""ARGV: the tags' lifetime, a token, the lock's milliseconds, the header the caller has seen and finds too old."""

_STORE: Final = (
    _VERSIONS
    + """
if ARGV[4] ~= '' and stamp == ARGV[3] then
    redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
end
local lock = KEYS[1] .. ':lock:' .. ARGV[3]
if redis.call('GET', lock) == ARGV[2] then
    redis.call('DEL', lock)
end
"""
)
"""ARGV: the tags' lifetime, the token, the versions it was loaded under, the blob ('': none to keep), milliseconds."""


class Entry(NamedTuple):
    """What a look into the cache found."""

    stamp: bytes | None
    """The tags' versions at that moment; None where a tag has none yet."""
    blob: bytes | None = None
    """The value with all that stands before it; None where there is none under these versions."""

    @property
    def header(self) -> bytes:
        """What tells this blob from an older or newer one under the same versions."""
        return b"" if self.blob is None else self.blob[: _HEADER.size]

    @property
    def fresh_until(self) -> float:
        """Seconds since 1970; minus infinity where there is no value."""
        return float("-inf") if self.blob is None else _HEADER.unpack_from(self.blob)[2]

    @property
    def value(self) -> bytes | None:
        """The value; None for the certainty that there is none."""
        if self.blob is None or self.stamp is None or not self.blob[0]:
            return None
        return self.blob[_HEADER.size + len(self.stamp) :]


class Claim(NamedTuple):
    """The right to load a value, for as long as its lock lasts."""

    token: str
    stamp: bytes


class Entries:
    """Reads, claims and stores; raises RedisAway, also for as long as Redis may not have heard of every commit."""

    def __init__(self, *, gate: RedisGate, lock_for: timedelta) -> None:
        self._gate = gate
        self._lock_ms = round(lock_for.total_seconds() * 1000)
        self._make_versions = gate.client.register_script(_MAKE_VERSIONS)
        self._claim = gate.client.register_script(_CLAIM)
        self._store = gate.client.register_script(_STORE)
        self._making: dict[Keys, asyncio.Task[bytes]] = {}

    async def read(self, keys: Keys) -> Entry:
        """The value under the tags' present versions, in one round trip."""
        if not self._gate.is_settled:
            raise RedisAway("Redis is away, or not for long back.")
        blob, *versions = await self._gate.read_many(keys)
        if None in versions:
            return Entry(None)
        stamp = b"".join(cast("list[bytes]", versions))
        return Entry(stamp, blob if blob is not None and _is_made_under(blob, stamp) else None)

    async def make_versions(self, keys: Keys) -> bytes:
        """The versions of the tags, those made that are missing; callers of the same moment share one round trip."""
        task = self._making.get(keys)
        if task is None:
            task = self._making[keys] = asyncio.create_task(self._make(keys), context=Context())
        return await asyncio.shield(task)

    async def _make(self, keys: Keys) -> bytes:
        args: list[_Word] = [_TAGS_LIVE, *(new_version() for _ in keys[1:])]

        async def make(client: Redis) -> bytes:
            # Whoever asks from now on may know of a commit that these versions are older than.
            del self._making[keys]
            return cast("bytes", await self._make_versions(keys, args, client))

        try:
            return await self._gate.run(make)
        finally:
            if self._making.get(keys) is asyncio.current_task():
                del self._making[keys]

    async def claim(self, keys: Keys, seen: Entry) -> Claim | Entry:
        """The right to load; or, where another has it, what there is by now: perhaps a newer value than `seen`."""
        token = secrets.token_hex(8)
        args: list[_Word] = [_TAGS_LIVE, token, self._lock_ms, seen.header, *(new_version() for _ in keys[1:])]
        blob, stamp, is_claimed = await self._gate.run(lambda client: self._claim(keys, args, client))
        return Claim(token, stamp) if is_claimed else Entry(stamp, blob)

    async def store(
        self, keys: Keys, claim: Claim, value: bytes | None, *, fresh_until: float, life: timedelta
    ) -> None:
        """Keep what was loaded, unless a tag was raised meanwhile, and let go of the claim."""
        blob = _HEADER.pack(value is not None, len(keys) - 1, fresh_until) + claim.stamp + (value or b"")
        await self._finish(keys, claim, blob, round(life.total_seconds() * 1000))

    async def let_go(self, keys: Keys, claim: Claim) -> None:
        """Give the claim back without a value, so that nobody waits for it."""
        await self._finish(keys, claim, b"", 0)

    async def _finish(self, keys: Keys, claim: Claim, blob: bytes, life_ms: int) -> None:
        args: list[_Word] = [
            _TAGS_LIVE,
            claim.token,
            claim.stamp,
            blob,
            max(1, life_ms),
            *(new_version() for _ in keys[1:]),
        ]
        await self._gate.run(lambda client: self._store(keys, args, client))


def _is_made_under(blob: bytes, stamp: bytes) -> bool:
    is_whole = len(blob) >= _HEADER.size + len(stamp)
    return is_whole and blob[1] * VERSION_BYTES == len(stamp) and blob.startswith(stamp, _HEADER.size)
