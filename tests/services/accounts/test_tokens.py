"""Tokens over time: refreshed by one worker, kept when trouble passes, told when they end, sealed with new keys."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from services.accounts import TokenKeeper
from services.accounts.sealing import reseal_tokens, token_place
from services.backends.secrets import SecretBox, SecretDamaged
from services.domain.accounts import Account, AccountStatus, Platform
from services.models import ACCOUNTS
from services.queries.connections import claim_expiring, save_tokens
from tests.rig import KEY, Rig, now

ROUTES = {Platform.YOUTUBE: "youtube.token", Platform.INSTAGRAM: "instagram.refresh"}
SOON = {Platform.YOUTUBE: timedelta(minutes=5), Platform.INSTAGRAM: timedelta(days=3)}


async def ending(rig: Rig, platform: Platform, *, at: datetime | None = None) -> Account:
    """An account whose token is about to end."""
    account = await rig.add_account(await rig.add_user(), platform)
    await age(rig)
    await end(rig, account, at or now() + SOON[platform])
    return account


async def end(rig: Rig, account: Account, at: datetime) -> None:
    """Let an account's token end then, as far as we know."""
    await rig.write(update(ACCOUNTS).where(ACCOUNTS.c.id == account.id).values(expires_at=at))


async def age(rig: Rig) -> None:
    """Instagram refreshes tokens that are a day old."""
    rig.sandbox.advance(seconds=25 * 3600)


async def opened(rig: Rig, account: Account, column: str) -> str:
    """A stored token in the clear."""
    row = await rig.account_row(account)
    return rig.container.secrets.open(getattr(row, column), place=token_place(account.id, column))


@pytest.mark.parametrize("platform", ROUTES)
async def test_twenty_keepers_make_one_call(rig: Rig, platform: Platform) -> None:
    """However many workers have the duty at once; the new token is stored, and what is fresh is left alone."""
    account = await ending(rig, platform)
    before = await opened(rig, account, "access_token")

    refreshed = await asyncio.gather(*(rig.container.tokens.refresh_due() for _ in range(20)))
    again = await rig.container.tokens.refresh_due()

    assert (sum(refreshed), again) == (1, 0)
    assert len(rig.requests(ROUTES[platform])) == 1
    row = await rig.account_row(account)
    assert await opened(rig, account, "access_token") != before
    assert row.expires_at > now() + SOON[platform]
    assert (row.status, row.refreshing_until) == (AccountStatus.CONNECTED, None)


async def test_an_answer_without_a_refresh_token_keeps_the_old_one(rig: Rig) -> None:
    """Google names none: the next refresh works as the first did."""
    account = await ending(rig, Platform.YOUTUBE)
    before = await opened(rig, account, "refresh_token")

    for _ in range(2):
        assert await rig.container.tokens.refresh_due() == 1
        assert await opened(rig, account, "refresh_token") == before
        await end(rig, account, now() + timedelta(minutes=5))


async def test_a_refresh_that_brings_no_refresh_token_wipes_none(rig: Rig) -> None:
    """Whatever a platform's client makes of the answer: what is stored stays."""
    account = await ending(rig, Platform.YOUTUBE)
    before = await opened(rig, account, "refresh_token")
    margins = {Platform.YOUTUBE: timedelta(minutes=10)}

    async with rig.container.backends.database.begin() as c:
        [held] = await claim_expiring(c, platforms=margins, hold_for=timedelta(minutes=1), limit=1)
        sealed = {"access_token": held.access_token, "refresh_token": None}
        await save_tokens(c, held, sealed=sealed, expires_at=now() + timedelta(hours=1))

    assert await opened(rig, account, "refresh_token") == before


async def test_more_accounts_than_a_batch_are_refreshed_in_one_turn(rig: Rig) -> None:
    """After an outage every channel's hour is over at once."""
    viewer = await rig.add_user()
    for _ in range(45):
        await rig.add_account(viewer, Platform.YOUTUBE)
    await rig.write(update(ACCOUNTS).values(expires_at=now() - timedelta(minutes=1)))

    assert await rig.container.tokens.refresh_due() == 45


async def test_trouble_of_the_platform_loses_no_account(rig: Rig) -> None:
    """503 at the refresh of a token that is over: still CONNECTED, held for a while, then refreshed."""
    account = await ending(rig, Platform.YOUTUBE, at=now() - timedelta(minutes=1))
    rig.sandbox.arm("youtube.token", status=503)

    assert await rig.container.tokens.refresh_due() == 0
    row = await rig.account_row(account)
    assert row.status == AccountStatus.CONNECTED
    assert await rig.container.tokens.refresh_due() == 0, "nobody tries again at once"

    await rig.write(update(ACCOUNTS).values(refreshing_until=now()))
    assert await rig.container.tokens.refresh_due() == 1


async def test_a_revoked_grant_is_told_and_not_asked_again(rig: Rig) -> None:
    """invalid_grant: REVOKED, and its person is told."""
    account = await ending(rig, Platform.YOUTUBE)
    rig.sandbox.http.post("/control/tokens", json={"account": account.external_id, "action": "revoke"})

    async with rig.container.backends.events.subscribe(account.user_id) as events:
        await rig.container.tokens.refresh_due()
        event: Any = await asyncio.wait_for(anext(events), 5)

    assert b"ACCOUNTS_CHANGED" in event
    assert (await rig.account_row(account)).status == AccountStatus.REVOKED
    await rig.write(update(ACCOUNTS).values(refreshing_until=None))
    await rig.container.tokens.refresh_due()
    assert len(rig.requests("youtube.token")) == 1


async def test_one_damaged_token_holds_up_nobody_else(rig: Rig) -> None:
    """A token that no key opens is logged; the others of its batch are refreshed, and ends are told."""
    damaged = await ending(rig, Platform.YOUTUBE, at=now() - timedelta(minutes=9))
    fine = await ending(rig, Platform.YOUTUBE)
    over = await rig.add_account(await rig.add_user(), Platform.FACEBOOK)
    await end(rig, over, now() - timedelta(seconds=1))
    spoil = update(ACCOUNTS).where(ACCOUNTS.c.id == damaged.id).values(access_token=b"not ours")
    await rig.write(spoil)

    assert await rig.container.tokens.refresh_due() == 1

    assert (await rig.account_row(fine)).expires_at > now() + timedelta(minutes=30)
    assert (await rig.account_row(over)).status == AccountStatus.EXPIRED


async def test_a_refresh_does_not_overwrite_a_new_connection(rig: Rig) -> None:
    """The person connects again while the refresh is under way: the new tokens stay, and so does CONNECTED."""
    account = await ending(rig, Platform.YOUTUBE)
    ends: list[dict[str, Any]] = [{"when": "after", "action": "delay", "seconds": 0.1}, {"preset": "invalid_grant"}]
    for trouble in ends:
        await rig.write(update(ACCOUNTS).values(refreshing_until=None, expires_at=now() + timedelta(minutes=5)))
        rig.sandbox.arm("youtube.token", when="before", action="delay", seconds=0.5)
        rig.sandbox.arm("youtube.token", **trouble)
        refreshing = asyncio.create_task(rig.container.tokens.refresh_due())
        seen = len(rig.requests("youtube.token"))
        while len(rig.requests("youtube.token")) == seen:
            await asyncio.sleep(0.02)
        profile = await rig.profile(Platform.YOUTUBE, external_id=account.external_id)
        await rig.container.accounts.store_profiles(account.user_id, Platform.YOUTUBE, [profile])
        await refreshing

        assert await opened(rig, account, "access_token") == profile.tokens.access
        assert (await rig.account_row(account)).status == AccountStatus.CONNECTED


@pytest.mark.parametrize(
    ("platform", "left", "status"),
    [
        (Platform.FACEBOOK, timedelta(days=15), AccountStatus.CONNECTED),
        (Platform.FACEBOOK, timedelta(days=13), AccountStatus.EXPIRING),
        (Platform.FACEBOOK, timedelta(seconds=-1), AccountStatus.EXPIRED),
        (Platform.INSTAGRAM, timedelta(days=13), AccountStatus.CONNECTED),
        (Platform.INSTAGRAM, timedelta(seconds=-1), AccountStatus.EXPIRED),
        (Platform.FACEBOOK, None, AccountStatus.CONNECTED),
    ],
)
async def test_ends_are_told_in_time(
    rig: Rig, platform: Platform, left: timedelta | None, status: AccountStatus
) -> None:
    """EXPIRING where nobody refreshes, EXPIRED where it is over, nothing for what does not end; twice the same."""
    account = await rig.add_account(await rig.add_user(), platform)
    ends = None if left is None else now() + left
    await rig.write(update(ACCOUNTS).values(expires_at=ends))

    for _ in range(2):
        await rig.container.tokens.refresh_due()
        assert (await rig.account_row(account)).status == status


@pytest.mark.parametrize(
    ("platform", "warnings"),
    [
        (Platform.FACEBOOK, {15: None, 13.9: 14, 8: 14, 6.9: 7, 2: 7, 0.9: 1}),
        (Platform.INSTAGRAM, {13.9: None, 6.9: None, 2: None, 0.9: 1}),
        (Platform.YOUTUBE, {13.9: None, 0.9: None, 0.01: None}),
    ],
)
async def test_a_person_is_warned_fourteen_seven_and_one_days_ahead(
    rig: Rig, platform: Platform, warnings: dict[float, int | None]
) -> None:
    """Each warning is told once, in the account's state; what refreshes itself warns only where that keeps failing."""
    account = await rig.add_account(await rig.add_user(), platform)
    refreshing_fails = update(ACCOUNTS).values(refreshing_until=now() + timedelta(hours=1))
    told: list[int | None] = [None]
    for days, expected in warnings.items():
        await rig.write(refreshing_fails)
        await end(rig, account, now() + timedelta(days=days))
        for _ in range(2):
            events = await events_of(rig, account, rig.container.tokens.refresh_due())
            row = await rig.account_row(account)
            assert row.expiry_warning == expected
            assert row.status == (AccountStatus.CONNECTED if expected is None else AccountStatus.EXPIRING)
            assert events == (1 if expected != told[-1] else 0), f"{days} days ahead"
            told.append(expected)


async def test_a_new_connection_ends_the_warning(rig: Rig) -> None:
    """So does its end: then the state itself says what is to be done."""
    account = await rig.add_account(await rig.add_user())
    await end(rig, account, now() + timedelta(days=3))
    await rig.container.tokens.refresh_due()
    assert (await rig.account_row(account)).expiry_warning == 7

    profile = await rig.profile(Platform.FACEBOOK, external_id=account.external_id)
    [connected] = await rig.container.accounts.store_profiles(account.user_id, Platform.FACEBOOK, [profile])
    assert (connected.status, connected.expiry_warning) == (AccountStatus.CONNECTED, None)

    await end(rig, account, now() + timedelta(days=3))
    await rig.container.tokens.refresh_due()
    await end(rig, account, now() - timedelta(seconds=1))
    await rig.container.tokens.refresh_due()
    row = await rig.account_row(account)
    assert (row.status, row.expiry_warning) == (AccountStatus.EXPIRED, None)


async def events_of(rig: Rig, account: Account, work: Awaitable[object]) -> int:
    """How many events of the account's owner some work gave."""
    count = 0
    async with rig.container.backends.events.subscribe(account.user_id) as events:
        await work
        with suppress(TimeoutError):
            while True:
                await asyncio.wait_for(anext(events), 0.1)
                count += 1
    return count


async def test_an_unconfigured_platform_is_left_alone(rig: Rig) -> None:
    """No client for it: nothing is claimed for a refresh, what is over is told."""
    account = await ending(rig, Platform.YOUTUBE, at=now() - timedelta(minutes=1))
    keeper = TokenKeeper(
        transactions=rig.container.backends.transactions, authorizers={}, secrets=rig.container.secrets
    )
    assert await keeper.refresh_due() == 0
    assert (await rig.account_row(account)).status == AccountStatus.EXPIRED


async def test_a_rotated_key_can_be_dropped(rig: Rig) -> None:
    """After resealing every token opens with the new key alone, and a second turn finds nothing to do."""
    viewer = await rig.add_user()
    accounts = [await rig.add_account(viewer, platform) for platform in [*Platform, *Platform]]
    before = {account.id: await opened(rig, account, "access_token") for account in accounts}
    gone = await rig.add_account(viewer)
    await rig.container.accounts.disconnect_account(viewer, gone.id)
    transactions = rig.container.backends.transactions
    new_key = "another key of the tests just as long as that"

    count = await reseal_tokens(transactions, SecretBox([new_key, KEY]), batch=2)

    assert count == sum(2 if account.platform is Platform.YOUTUBE else 1 for account in accounts)
    new, old = SecretBox([new_key]), SecretBox([KEY])
    for account in accounts:
        row, place = await rig.account_row(account), token_place(account.id, "access_token")
        assert new.open(row.access_token, place=place) == before[account.id]
        with pytest.raises(SecretDamaged):
            old.open(row.access_token, place=place)
        if row.refresh_token is not None:
            new.open(row.refresh_token, place=token_place(account.id, "refresh_token"))
    assert await reseal_tokens(transactions, SecretBox([new_key, KEY]), batch=2) == 0
