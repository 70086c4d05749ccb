"""The demo of a local run: made once, and its tokens always open the database at hand."""

from collections import Counter

from sqlalchemy import func, select, update

from app.demo import ensure_demo
from services.domain.accounts import Platform
from services.domain.credentials import read_api_key
from services.models import ACCOUNTS, KEYS, POSTS
from tests.rig import Rig, RunningSandbox, open_rig


async def test_the_demo_is_made_once_and_keeps_its_tokens(rig: Rig) -> None:
    """The next start finds what the first one made."""
    first = await ensure_demo(rig.container)
    posts = await rig.rows(select(POSTS.c.id))
    assert await ensure_demo(rig.container) == first
    assert await rig.rows(select(POSTS.c.id)) == posts != []


async def test_tokens_of_another_database_are_replaced(rig: Rig) -> None:
    """The data folder outlives the database: a first DATABASE_URL, a lost cluster, a revoked key."""
    foreign = await ensure_demo(rig.container)
    await rig.write(update(KEYS).values(revoked_at=func.now()))

    tokens = await ensure_demo(rig.container)
    assert tokens.person != foreign.person
    assert (rig.container.settings.data_dir / "demo-token").read_text().strip() == tokens.person
    (rig.container.settings.data_dir / "admin-token").write_text("not a token")
    again = await ensure_demo(rig.container)
    assert (again.person, again.admin != tokens.admin) == (tokens.person, True)
    assert read_api_key(again.admin) is not None


async def test_a_platform_with_credentials_of_its_own_gets_no_demo_account(
    rig: Rig, database_url: str, redis_url: str, running_sandbox: RunningSandbox
) -> None:
    """The bakery exists in the sandbox alone, and its tokens are nothing to the real Instagram."""
    real = {"instagram_client_id": "1", "instagram_client_secret": "s"}
    folder = rig.container.settings.data_dir
    places = {"database_url": database_url, "redis_url": redis_url, "folder": folder}
    async with open_rig(running_sandbox, **places, **real) as half_real:
        await ensure_demo(half_real.container)
    accounts = await rig.rows(select(ACCOUNTS.c.platform))
    assert Counter(row.platform for row in accounts) == {Platform.FACEBOOK: 1, Platform.YOUTUBE: 1}
