"""What the `keys` commands do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from app.backends import Backends
from app.complaints import Complaint
from app.foundations import utc_now
from app.keyring import find_secret_keys
from app.processes import endpoints_of, open_migrated
from app.settings import Settings
from services.accounts.sealing import reseal_tokens
from services.backends.secrets import SecretBox
from services.domain.credentials import mint_api_key
from services.domain.ids import new_id
from services.domain.viewers import Role, Scope
from services.queries import users

BATCH = 200


async def create(settings: Settings, *, subject: str, scope: Scope, name: str, days: int | None) -> str:
    """A new key for a user, who is made where there is none of that subject; gives the token.

    Raises Complaint for an admin's key of somebody who is none.
    """
    key = mint_api_key()
    role = Role.ADMIN if scope is Scope.ADMIN else Role.PERSON
    async with _backends(settings) as backends, backends.database.begin() as c:
        user = await users.find_user_by_subject(c, subject)
        user_id = new_id() if user is None else user.id
        if user is None:
            await users.insert_user(c, user_id=user_id, name=subject, role=role, subject=subject)
        elif scope is Scope.ADMIN and user.role is not Role.ADMIN:
            raise Complaint(f"{subject} is no admin, and a key makes nobody one: choose another subject")
        await users.insert_key(
            c,
            key_id=key.key_id,
            user_id=user_id,
            name=name,
            secret_hash=key.secret_hash,
            scope=scope,
            expires_at=None if days is None else utc_now() + timedelta(days=days),
        )
    return key.token


async def describe(settings: Settings) -> list[str]:
    """One line per key."""
    async with _backends(settings) as backends, backends.database.connect() as c:
        keys = await users.list_keys(c)
    return [
        "  ".join([key.key_id.hex, f"{key.scope.name:5}", key.subject or key.user_name, key.name, key.state(utc_now())])
        for key in keys
    ]


async def revoke(settings: Settings, key_id: UUID) -> bool:
    """End a key; False where there is none that still holds."""
    async with _backends(settings) as backends, backends.database.begin() as c:
        return await users.revoke_key(c, key_id, utc_now())


async def rotate(settings: Settings) -> int:
    """Seal all stored tokens with the first key; gives how many there were."""
    box = SecretBox(keys=find_secret_keys(settings))
    async with _backends(settings) as backends:
        return await reseal_tokens(backends.transactions, box, batch=BATCH)


@asynccontextmanager
async def _backends(settings: Settings) -> AsyncIterator[Backends]:
    with endpoints_of(settings) as endpoints:
        async with open_migrated(settings, endpoints) as backends:
            yield backends
