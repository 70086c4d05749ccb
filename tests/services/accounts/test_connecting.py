"""Accounts: an OAuth round trip begun and ended, connected again, let go."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select, text, update

from services.accounts import AccountService
from services.domain.accounts import AccountStatus, Platform
from services.domain.errors import ErrorCode, Unavailable
from services.domain.posts import TargetStatus
from services.models import ACCOUNTS, OAUTH_STATES
from services.providers.base import AuthorizationFailed
from tests.rig import Rig, now, refused


def say_yes(rig: Rig, link: str, platform: Platform) -> tuple[str, str]:
    """The person opens the link and agrees; the state and the code that come back."""
    people = rig.sandbox.http.get("/control/accounts").json()
    mine = [account for account in people["accounts"] if account["platform"] == platform.value.lower()]
    subject = mine[0]["owner"] if platform is Platform.FACEBOOK else mine[0]["id"]
    answer = rig.sandbox.http.post(link, data={"decision": "continue", "subject": subject})
    assert answer.status_code == 302, answer.text
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    return query["state"][0], query["code"][0]


@pytest.mark.parametrize("platform", Platform)
async def test_a_round_trip_connects_an_account_that_publishes(rig: Rig, platform: Platform) -> None:
    """The link, the person's yes, the stored account; tokens are sealed, and good for a post."""
    ada = await rig.add_user()
    link = await rig.container.accounts.connect_account(ada, platform)
    state, code = say_yes(rig, link, platform)

    accounts = await rig.container.accounts.finish_connecting(platform, state=state, code=code)

    assert {account.status for account in accounts} == {AccountStatus.CONNECTED}
    assert {account.user_id for account in accounts} == {ada.user.id}
    row = await rig.account_row(accounts[0])
    assert row.access_token.startswith(b"\x01") and code.encode() not in row.access_token
    sample = None if platform is Platform.FACEBOOK else "clip.mp4"
    post = await rig.schedule_due(ada, accounts[0], sample=sample)
    await rig.publish()
    assert (await rig.target(post)).status is TargetStatus.PUBLISHED


async def test_a_state_opens_once_and_only_where_it_belongs(rig: Rig) -> None:
    """Unknown, of another platform, used twice (even at once) or too old: refused, and nothing is connected."""
    ada = await rig.add_user()
    finish = rig.container.accounts.finish_connecting
    state, code = say_yes(rig, await rig.container.accounts.connect_account(ada, Platform.YOUTUBE), Platform.YOUTUBE)

    with refused(ErrorCode.VALIDATION_FAILED, "state"):
        await finish(Platform.YOUTUBE, state="never given", code=code)
    with refused(ErrorCode.VALIDATION_FAILED, "state"):
        await finish(Platform.INSTAGRAM, state=state, code=code)
    ends = await asyncio.gather(
        *(finish(Platform.YOUTUBE, state=state, code=code) for _ in range(5)), return_exceptions=True
    )
    assert len([end for end in ends if isinstance(end, list)]) == 1
    with refused(ErrorCode.VALIDATION_FAILED, "state"):
        await finish(Platform.YOUTUBE, state=state, code=code)

    late, code = say_yes(rig, await rig.container.accounts.connect_account(ada, Platform.YOUTUBE), Platform.YOUTUBE)
    await rig.write(update(OAUTH_STATES).values(expires_at=now() - timedelta(seconds=1)))
    with refused(ErrorCode.VALIDATION_FAILED, "state"):
        await finish(Platform.YOUTUBE, state=late, code=code)
    assert (await rig.rows(select(func.count()).select_from(ACCOUNTS)))[0][0] == 1


async def test_a_code_that_the_platform_refuses_connects_nothing(rig: Rig) -> None:
    """The platform's no reaches the caller; neither state nor verifier are kept in the clear."""
    ada = await rig.add_user()
    link = await rig.container.accounts.connect_account(ada, Platform.YOUTUBE)
    state = parse_qs(urlsplit(link).query)["state"][0]
    [row] = await rig.rows(select(OAUTH_STATES))
    assert state.encode() not in bytes(row.state_hash) and row.code_verifier.startswith(b"\x01")

    with pytest.raises(AuthorizationFailed):
        await rig.container.accounts.finish_connecting(Platform.YOUTUBE, state=state, code="made up")
    assert await rig.rows(select(ACCOUNTS)) == []


async def test_round_trips_that_nobody_finished_are_forgotten(rig: Rig) -> None:
    """The next one sweeps them away."""
    ada = await rig.add_user()
    await rig.container.accounts.connect_account(ada, Platform.FACEBOOK)
    await rig.write(update(OAUTH_STATES).values(expires_at=now() - timedelta(seconds=1)))

    await rig.container.accounts.connect_account(ada, Platform.FACEBOOK)

    assert len(await rig.rows(select(OAUTH_STATES))) == 1


async def test_connecting_again_renews_the_same_account(rig: Rig) -> None:
    """Same id, same posts, CONNECTED again; another person's connection of it is an account of their own."""
    ada, eve = await rig.add_user(), await rig.add_user("Eve")
    account = await rig.add_account(ada)
    await rig.write(update(ACCOUNTS).values(status=AccountStatus.REVOKED))
    profile = await rig.profile(Platform.FACEBOOK, external_id=account.external_id)

    [again] = await rig.container.accounts.store_profiles(ada.user.id, Platform.FACEBOOK, [profile])
    [theirs] = await rig.container.accounts.store_profiles(eve.user.id, Platform.FACEBOOK, [profile])

    assert (again.id, again.status, again.created_at) == (account.id, AccountStatus.CONNECTED, account.created_at)
    assert theirs.id != account.id
    assert len(await rig.rows(select(ACCOUNTS))) == 2


async def test_a_new_account_brought_twice_at_once_is_one(rig: Rig) -> None:
    """Tabs come back from the platform together, each with the same three Pages: none fails, and each Page is once."""
    ada = await rig.add_user()
    profiles = [await rig.profile(Platform.FACEBOOK) for _ in range(3)]

    ends = await asyncio.gather(
        *(
            rig.container.accounts.store_profiles(ada.user.id, Platform.FACEBOOK, order)
            for order in (profiles, profiles[::-1])
            for _ in range(4)
        )
    )

    found = {account.id: account for account in ends[0]}
    assert len(found) == len(await rig.rows(select(ACCOUNTS))) == 3
    assert all({account.id for account in end} == found.keys() for end in ends)
    assert {account.status for end in ends for account in end} == {AccountStatus.CONNECTED}
    post = await rig.schedule_due(ada, ends[0][0])
    await rig.publish()
    assert (await rig.target(post)).status is TargetStatus.PUBLISHED


async def test_a_disconnected_account_keeps_no_token(rig: Rig) -> None:
    """Its posts wait; somebody else's account looks like a missing one; connected again, the posts go on."""
    ada, eve = await rig.add_user(), await rig.add_user("Eve")
    account = await rig.add_account(ada, Platform.YOUTUBE)
    post = await rig.schedule(ada, account, sample="clip.mp4")
    with refused(ErrorCode.NOT_FOUND, "id"):
        await rig.container.accounts.disconnect_account(eve, account.id)
    assert (await rig.account_row(account)).status == AccountStatus.CONNECTED

    gone = await rig.container.accounts.disconnect_account(ada, account.id)

    row = await rig.account_row(account)
    assert (gone.status, row.access_token, row.refresh_token) == (AccountStatus.DISCONNECTED, None, None)
    await rig.come(post)
    await rig.publish()
    assert (await rig.target(post)).status is TargetStatus.BLOCKED
    profile = await rig.profile(Platform.YOUTUBE, external_id=account.external_id)
    await rig.container.accounts.store_profiles(ada.user.id, Platform.YOUTUBE, [profile])
    await rig.publish()
    assert (await rig.target(post)).status is TargetStatus.PUBLISHED


async def test_what_waits_for_an_account_goes_on_at_its_own_time(rig: Rig) -> None:
    """BLOCKED with a time still ahead: unblocked, and not sent before it."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    post = await rig.schedule(ada, account)
    await rig.write(text("UPDATE post_targets SET status = 'BLOCKED', next_attempt_at = NULL"))

    profile = await rig.profile(Platform.FACEBOOK, external_id=account.external_id)
    await rig.container.accounts.store_profiles(ada.user.id, Platform.FACEBOOK, [profile])

    target = await rig.target(post)
    assert target.status is not TargetStatus.BLOCKED
    assert target.next_attempt_at == post.post.scheduled_at


async def test_a_platform_that_is_not_set_up_says_so(rig: Rig) -> None:
    """Unavailable, before anything is stored."""
    service = AccountService(
        transactions=rig.container.backends.transactions,
        authorizers={},
        secrets=rig.container.secrets,
        redirect_uri=lambda platform: f"http://127.0.0.1/{platform}",
        now=now,
    )
    with pytest.raises(Unavailable):
        await service.connect_account(await rig.add_user(), Platform.FACEBOOK)
    assert await rig.rows(select(OAUTH_STATES)) == []
