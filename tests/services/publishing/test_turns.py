"""Whose turn it is: of each account one post after the other, of each person a share, after an outage at a pace."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text, update

from services.domain.accounts import Account, AccountStatus, Platform
from services.domain.errors import ErrorCode
from services.domain.limits import Window, project_date
from services.domain.posts import PostState, TargetStatus
from services.domain.viewers import Viewer
from services.guards.quotas import Quotas
from services.models import ACCOUNTS, TARGETS
from services.publishing.windows import PublicationWindows
from services.queries.turns import DueTarget, lock_due
from tests.rig import Rig, now


async def due_posts(rig: Rig, viewer: Viewer, account: Account, *ages: float) -> list[PostState]:
    """Posts that have been due for so many seconds, named by that."""
    sample = None if account.platform is Platform.FACEBOOK else "sunrise.jpg"
    posts = [await rig.schedule(viewer, account, caption=f"{age:g}", sample=sample) for age in ages]
    for age, post in zip(ages, posts, strict=True):
        await rig.come(post, ago=timedelta(seconds=age))
    return posts


def captions(rig: Rig, account: Account) -> list[str]:
    """What people see of an account, in the order in which it came out."""
    return [one["caption"] for one in rig.seen(account)]


async def seen_too_early(rig: Rig, viewer: Viewer, account: Account) -> tuple[DueTarget, PostState, PostState]:
    """Two due posts, 2 and 1, and how the second looked to somebody whose snapshot does not know of the first yet."""
    [second] = await due_posts(rig, viewer, account, 1)
    async with rig.container.backends.database.begin() as c:
        [late] = await lock_due(c, limit=2)
    [first] = await due_posts(rig, viewer, account, 2)
    return late, first, second


async def publishing_until_quiet(rig: Rig) -> None:
    """One worker: claims, publishes, and claims again while anything is due."""
    claimer, publisher = rig.claimer(), rig.publisher()
    quiet = 0
    while quiet < 3:
        claims = await claimer.claim_due(uuid4(), limit=5)
        await asyncio.gather(*(publisher.publish(claim) for claim in claims))
        quiet = 0 if claims else quiet + 1
        await asyncio.sleep(0.01)


async def test_an_account_speaks_in_the_order_of_its_calendar(rig: Rig) -> None:
    """Four workers over ten due posts of one account, written in another order: seen oldest first, each once."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    await due_posts(rig, ada, account, 4, 9, 2, 7, 10, 1, 8, 3, 6, 5)

    await asyncio.gather(*(publishing_until_quiet(rig) for _ in range(4)))

    assert captions(rig, account) == [str(age) for age in range(10, 0, -1)]


async def test_one_post_of_an_account_is_under_way_at_a_time(rig: Rig) -> None:
    """However many claim at once; let go, the next may begin. Another account does not wait."""
    ada = await rig.add_user()
    first, second = await rig.add_account(ada), await rig.add_account(ada)
    await due_posts(rig, ada, first, 3, 2, 1)
    await due_posts(rig, ada, second, 3, 2)

    batches = await asyncio.gather(*(rig.claimer().claim_due(uuid4(), limit=20) for _ in range(8)))

    claimed = [claim for batch in batches for claim in batch]
    assert sorted(claim.account_id for claim in claimed) == sorted([first.id, second.id])
    assert {claim.caption for claim in claimed} == {"3"}
    assert await rig.slots(ada, Platform.FACEBOOK) == 2
    assert await rig.claimer().claim_due(uuid4(), limit=20) == []
    await asyncio.gather(*(rig.publisher().publish(claim) for claim in claimed))
    assert {claim.caption for claim in await rig.claimer().claim_due(uuid4(), limit=20)} == {"2"}


async def test_who_comes_too_late_for_an_account_gives_the_slot_back(rig: Rig) -> None:
    """Chosen in a snapshot older than another's claim: not claimed, no slot kept, still due."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    late, first, second = await seen_too_early(rig, ada, account)
    claimer = rig.claimer()
    [held] = await claimer.claim_due(uuid4(), limit=1)
    assert held.post_id == first.post.id

    async with rig.container.backends.database.begin() as c:
        await rig.container.quotas.take(c, late.id.hex, rig.windows()(late))
        assert await claimer._take(c, [late], uuid4()) == []

    assert await rig.slots(ada, Platform.FACEBOOK) == 1
    assert (await rig.target(second)).status is TargetStatus.SCHEDULED


async def test_a_post_that_somebody_looks_at_is_not_passed_by(rig: Rig) -> None:
    """Another worker has the earlier one locked and may yet let it be: the later one is no more claimed for that."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    first, _ = await due_posts(rig, ada, account, 2, 1)
    async with rig.container.backends.database.begin() as c:
        await c.execute(select(TARGETS.c.id).where(TARGETS.c.post_id == first.post.id).with_for_update())

        assert await rig.claimer().claim_due(uuid4(), limit=5) == []

    assert await rig.slots(ada, Platform.FACEBOOK) == 0
    await rig.publish()
    assert captions(rig, account) == ["2", "1"]


async def test_a_burst_takes_a_share_and_the_others_their_turn(rig: Rig) -> None:
    """Thirty older posts of one person before one of somebody else's: both are claimed at once, the burst in part."""
    ada, eve = await rig.add_user(), await rig.add_user("Eve")
    for _ in range(30):
        await due_posts(rig, ada, await rig.add_account(ada), 60)
    await due_posts(rig, eve, await rig.add_account(eve), 1)
    claimer = rig.claimer(room=20)

    claims = await claimer.claim_due(uuid4(), limit=20)
    users = [claim.user_id for claim in claims]
    assert (users.count(ada.user.id), users.count(eve.user.id)) == (5, 1)

    assert await claimer.claim_due(uuid4(), limit=14, busy={ada.user.id: 5}) == []
    assert len(await claimer.claim_due(uuid4(), limit=15, busy={ada.user.id: 3})) == 2


async def test_bursts_of_many_people_make_room_for_who_has_nothing_under_way(rig: Rig) -> None:
    """Four older bursts fill a worker: the first place that is free is the newcomer's, the next a burst's again."""
    crowd = [await rig.add_user(f"Burst {number}") for number in range(4)]
    for viewer in crowd:
        for _ in range(7):
            await due_posts(rig, viewer, await rig.add_account(viewer), 60)
    eve = await rig.add_user("Eve")
    await due_posts(rig, eve, await rig.add_account(eve), 1)
    claimer = rig.claimer(room=20)

    claims = await claimer.claim_due(uuid4(), limit=20)
    assert Counter(claim.user_id for claim in claims) == {viewer.user.id: 5 for viewer in crowd}

    busy = {**{viewer.user.id: 5 for viewer in crowd}, crowd[0].user.id: 4}
    assert [claim.user_id for claim in await claimer.claim_due(uuid4(), limit=1, busy=busy)] == [eve.user.id]
    assert [claim.user_id for claim in await claimer.claim_due(uuid4(), limit=1, busy=busy)] == [crowd[0].user.id]


async def test_a_burst_on_one_account_does_not_hide_what_lies_behind_it(rig: Rig) -> None:
    """Its rows fill every batch: the claim looks past them for others."""
    ada, eve = await rig.add_user(), await rig.add_user("Eve")
    await due_posts(rig, ada, await rig.add_account(ada), *range(100, 60, -1))
    await due_posts(rig, eve, await rig.add_account(eve), 1)

    claims = await rig.claimer().claim_due(uuid4(), limit=10)

    assert {claim.user_id for claim in claims} == {ada.user.id, eve.user.id}


@pytest.mark.parametrize("trouble", ["a full hour", "an account to connect again"])
async def test_a_long_burst_is_put_off_at_once(rig: Rig, trouble: str) -> None:
    """What holds up the first of an account's due posts holds up those behind it, in order: one look tells all."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    posts = await due_posts(rig, ada, account, 9, 7, 8, 5, 6)
    if trouble == "a full hour":
        async with rig.container.backends.database.begin() as c:
            full = [
                (f"slot {n}", [rig.container.limits.window(f"user:{ada.user.id}", account.platform)]) for n in range(50)
            ]
            assert await rig.container.quotas.take_many(c, full) == {}
    else:
        await rig.write(update(ACCOUNTS).values(status=AccountStatus.EXPIRED))

    assert await rig.claimer().claim_due(uuid4(), limit=20) == []

    targets = [await rig.target(post) for post in sorted(posts, key=lambda post: post.post.caption, reverse=True)]
    codes = {target.waiting_for.code for target in targets if target.waiting_for is not None}
    times = [target.next_attempt_at for target in targets]
    if trouble == "a full hour":
        assert (codes, None in times) == ({ErrorCode.RATE_LIMITED}, False)
        assert times == sorted(set(times)), "in the order of the calendar"
        assert times == [target.waiting_for.until for target in targets]
    else:
        assert (codes, set(times)) == ({ErrorCode.RECONNECT_REQUIRED}, {None})
        assert {target.status for target in targets} == {TargetStatus.BLOCKED}
    assert {(await rig.state(post)).post.version for post in posts} == {2}, "each is told"


async def test_what_was_put_off_keeps_its_place(rig: Rig) -> None:
    """A limit holds an earlier post until later: what of its account comes due meanwhile waits right behind it."""
    ada = await rig.add_user()
    account, other = await rig.add_account(ada), await rig.add_account(ada)
    [first] = await due_posts(rig, ada, account, 30)
    later = now() + timedelta(minutes=20)
    put_off = {"waiting_code": ErrorCode.CIRCUIT_OPEN, "waiting_message": "Ill.", "next_attempt_at": later}
    await rig.write(update(TARGETS).where(TARGETS.c.post_id == first.post.id).values(**put_off))
    second, third = await due_posts(rig, ada, account, 20, 10)
    await due_posts(rig, ada, other, 1)

    await rig.publish()

    assert (captions(rig, account), captions(rig, other)) == ([], ["1"])
    times = [(await rig.target(post)).next_attempt_at for post in (first, second, third)]
    assert times == [later, later + timedelta(microseconds=1), later + timedelta(microseconds=2)]
    waits = (await rig.target(third)).waiting_for
    assert waits is not None and (waits.code, waits.until) == (ErrorCode.RATE_LIMITED, times[2])
    assert await rig.slots(ada, Platform.FACEBOOK) == 1


async def test_what_fails_in_passing_keeps_its_place(rig: Rig) -> None:
    """A platform's error at the second of three: the third waits for its next try, and goes right behind it."""
    ada = await rig.add_user()
    account, other = await rig.add_account(ada), await rig.add_account(ada)
    _, second, third = await due_posts(rig, ada, account, 30, 20, 10)
    await due_posts(rig, ada, other, 1)
    rig.sandbox.arm("facebook.feed", status=500, match={"caption": "20"}, headers={"Retry-After": "30"})

    await rig.publish()

    assert (captions(rig, account), captions(rig, other)) == (["30"], ["1"])
    tried, behind = [await rig.target(post) for post in (second, third)]
    assert (tried.status, behind.status) == (TargetStatus.RETRYING, TargetStatus.SCHEDULED)
    assert tried.next_attempt_at is not None
    assert behind.next_attempt_at == tried.next_attempt_at + timedelta(microseconds=1)
    assert behind.waiting_for is not None and behind.waiting_for.until == behind.next_attempt_at
    assert await rig.slots(ada, Platform.FACEBOOK) == 2

    assert await rig.hurry(TargetStatus.RETRYING, TargetStatus.SCHEDULED) == 2
    await rig.publish()

    assert captions(rig, account) == ["30", "20", "10"]


async def test_a_post_whose_trouble_lasts_holds_up_nobody(rig: Rig) -> None:
    """What comes later goes out meanwhile; once it is due again, it is before all others that are."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    [first] = await due_posts(rig, ada, account, 30)
    rig.sandbox.arm("facebook.feed", status=500, headers={"Retry-After": "300"})
    await rig.publish()
    await due_posts(rig, ada, account, 20)

    await rig.publish()

    assert captions(rig, account) == ["20"]
    assert (await rig.target(first)).status is TargetStatus.RETRYING
    await due_posts(rig, ada, account, 10)
    await rig.hurry(TargetStatus.RETRYING)
    await rig.publish()
    assert captions(rig, account) == ["20", "30", "10"]


@pytest.mark.parametrize(
    "end", ["stopped", "killed", "stopped since it was looked at", "failed since it was looked at"]
)
async def test_what_a_worker_leaves_undone_keeps_its_place(rig: Rig, end: str) -> None:
    """Due from now on, or soon, and yet before what has been due the longer; also for who looked before it was left."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    late, first, _ = await seen_too_early(rig, ada, account)
    held = await rig.claim()
    assert held.post_id == first.post.id
    if end == "killed":
        await rig.rescue()
    elif end.startswith("failed"):
        rig.sandbox.arm("facebook.feed", status=500, headers={"Retry-After": "30"})
        await rig.publisher().publish(held)
    else:
        rig.sandbox.arm("facebook.feed", when="before", action="delay", seconds=5)
        publishing = asyncio.create_task(rig.publisher().publish(held))
        while not rig.requests("facebook.feed"):
            await asyncio.sleep(0.02)
        publishing.cancel()
        await asyncio.wait([publishing])
    assert (await rig.target(first)).status is not TargetStatus.PUBLISHED

    if end.endswith("looked at"):
        async with rig.container.backends.database.begin() as c:
            assert await rig.claimer()._take(c, [late], uuid4()) == []
    await rig.hurry(TargetStatus.RETRYING)
    await asyncio.gather(*(publishing_until_quiet(rig) for _ in range(4)))

    assert captions(rig, account) == ["2", "1"]


async def test_what_is_still_being_prepared_keeps_its_place(rig: Rig) -> None:
    """Its time has come meanwhile: a later post of its account waits until it is let go."""
    ada = await rig.add_user()
    account = await rig.add_account(ada, Platform.INSTAGRAM)
    early = await rig.schedule(ada, account, caption="early", sample="sunrise.jpg", hours=1 / 30)
    [preparing] = await rig.claimer().claim_early(uuid4(), limit=5)
    await rig.come(early, ago=timedelta(seconds=2))
    await due_posts(rig, ada, account, 1)

    assert await rig.claimer().claim_due(uuid4(), limit=5) == []
    await rig.preparer().prepare(preparing)
    await rig.publish()

    assert captions(rig, account) == ["early", "1"]


async def test_of_one_time_what_was_written_first_goes_first(rig: Rig) -> None:
    """Also where it has to be tried again."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    posts = [await rig.schedule(ada, account, caption=f"{number}") for number in range(4)]
    moment = now()
    await rig.write(update(TARGETS).values(calendar_at=moment, next_attempt_at=moment))
    rig.sandbox.arm("facebook.feed", status=500, match={"caption": "1"}, headers={"Retry-After": "30"})

    await rig.publish()
    assert captions(rig, account) == ["0"]
    await rig.hurry(TargetStatus.RETRYING, TargetStatus.SCHEDULED)
    await rig.publish()

    assert captions(rig, account) == [post.post.caption for post in posts]


async def test_after_an_outage_posts_go_out_at_a_pace(rig: Rig) -> None:
    """Overdue by more than five minutes: of each account one at a time, oldest first, and said so; others at once."""
    ada = await rig.add_user()
    account, other = await rig.add_account(ada), await rig.add_account(ada)
    posts = await due_posts(rig, ada, account, 3000, 1200, 900, 600)
    await due_posts(rig, ada, other, 700)
    seen: list[str] = []
    for _ in posts:
        await publishing_until_quiet(rig)
        seen.append(captions(rig, account)[-1])
        assert len(captions(rig, account)) == len(seen)
        waiting = await rig.rows(
            select(TARGETS.c.next_attempt_at, TARGETS.c.waiting_code, TARGETS.c.waiting_message)
            .where(TARGETS.c.status == TargetStatus.SCHEDULED)
            .order_by(TARGETS.c.calendar_at)
        )
        assert {row.waiting_code for row in waiting} <= {ErrorCode.RATE_LIMITED}
        times = [row.next_attempt_at for row in waiting]
        assert times == sorted(times)
        assert all(timedelta(seconds=8) < time - now() < timedelta(seconds=16) for time in times)
        await fifteen_seconds_pass(rig)

    assert seen == ["3000", "1200", "900", "600"]
    assert captions(rig, other) == ["700"]


async def fifteen_seconds_pass(rig: Rig) -> None:
    """For targets that wait, and for the slots that they wait for."""
    for table, columns in (("post_targets", ["next_attempt_at"]), ("quota_slots", ["ended_at", "taken_at"])):
        passed = ", ".join(f"{column} = {column} - interval '15 seconds'" for column in columns)
        await rig.write(text(f"UPDATE {table} SET {passed}"))


@pytest.mark.parametrize(
    ("moment", "midnight"),
    [
        (datetime(2026, 7, 1, 6, 59, tzinfo=UTC), datetime(2026, 7, 1, 7, tzinfo=UTC)),
        (datetime(2026, 7, 1, 7, 0, tzinfo=UTC), datetime(2026, 7, 2, 7, tzinfo=UTC)),
        (datetime(2026, 3, 8, 9, 0, tzinfo=UTC), datetime(2026, 3, 9, 7, tzinfo=UTC)),
        (datetime(2026, 11, 1, 8, 0, tzinfo=UTC), datetime(2026, 11, 2, 8, tzinfo=UTC)),
    ],
)
def test_googles_day_ends_at_midnight_in_california(moment: datetime, midnight: datetime) -> None:
    """Also on the days that have 23 and 25 hours; the next day's places are others."""
    window = project_date(Platform.YOUTUBE, 100, moment)

    assert window.ends_at == midnight
    assert project_date(Platform.YOUTUBE, 100, midnight - timedelta(seconds=1)).key == window.key
    assert project_date(Platform.YOUTUBE, 100, midnight).key != window.key


async def test_the_projects_day_is_waited_for_until_midnight(rig: Rig) -> None:
    """All places of the date are taken: refused until Google's midnight, not for 24 hours; then there are new ones."""
    quotas, moment = Quotas(), now()
    windows = PublicationWindows(
        hour=lambda key, platform: Window(f"{key}|{platform}", 1000, timedelta(hours=1)),
        account_days={},
        project_dates={Platform.YOUTUBE: 2},
        late_spacing=timedelta(seconds=15),
        now=lambda: moment,
    )

    def today() -> list[Window]:
        return [windows.of_projects()[Platform.YOUTUBE]]

    async with rig.container.backends.database.begin() as c:
        for _ in range(2):
            assert await quotas.take(c, uuid4().hex, today()) is None
        refusal = await quotas.take(c, uuid4().hex, today())

        assert refusal is not None and refusal.free_at == refusal.window.ends_at
        assert refusal.free_at - moment <= timedelta(hours=25)
        assert abs(refusal.retry_after - (refusal.free_at - moment).total_seconds()) < 10
        moment = refusal.free_at
        assert await quotas.take(c, uuid4().hex, today()) is None
