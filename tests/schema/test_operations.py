"""What operators see and do."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from services.domain.accounts import Platform
from services.domain.ids import new_id
from services.domain.viewers import Role
from services.guards.quotas import Quotas
from services.models import ACCOUNTS, ATTEMPTS, TARGETS, WORKERS
from tests.graphql_api import Api, user_id

AUDIT = "{ auditLog { totalCount nodes { action subject detail actor { name } } } }"


async def test_breakers_are_opened_closed_and_reset(api: Api) -> None:
    """Everybody sees it on their accounts, and the audit log says who did it."""
    ada, root = await api.add_person(), await api.add_person("Root", role=Role.ADMIN)
    await api.add_account(ada, Platform.YOUTUBE)
    shown = "circuitBreaker { name state forcedBy lastTransitions { reason } }"
    seen = f"{{ accounts {{ nodes {{ {shown} }} }} }}"
    for name, state in (("open", "OPEN"), ("close", "CLOSED"), ("open", "OPEN"), ("reset", "CLOSED")):
        mutation = f"{name}CircuitBreaker"
        answered = "circuitBreaker { name state forcedBy lastTransitions { from to reason at } } userErrors { code }"
        document = f'mutation {{ {mutation}(input: {{name: "youtube-api"}}) {{ {answered} }} }}'
        answer = (await api.data(document, root))[mutation]
        assert answer["userErrors"] == []
        assert answer["circuitBreaker"]["state"] == state
        assert answer["circuitBreaker"]["forcedBy"] == (user_id(root) if state == "OPEN" else None)
        [node] = (await api.data(seen, ada))["accounts"]["nodes"]
        history = answer["circuitBreaker"]["lastTransitions"]
        reasons = [{"reason": one["reason"].replace(user_id(root), "hand")} for one in history]
        told = {"name": "youtube-api", "state": state, "forcedBy": None, "lastTransitions": reasons}
        assert node["circuitBreaker"] == told
        assert "by hand" in reasons[0]["reason"]
    log = (await api.data(AUDIT, root))["auditLog"]
    assert log["totalCount"] == 4
    assert [entry["action"] for entry in log["nodes"]] == [
        "resetCircuitBreaker",
        "openCircuitBreaker",
        "closeCircuitBreaker",
        "openCircuitBreaker",
    ]
    assert {(entry["subject"], entry["actor"]["name"]) for entry in log["nodes"]} == {("youtube-api", "Root")}


async def test_breakers_that_no_platform_has_are_not_found(api: Api) -> None:
    """Asking for one makes none, and nothing is written down."""
    root = await api.add_person("Root", role=Role.ADMIN)
    document = (
        'mutation { openCircuitBreaker(input: {name: "x"}) { circuitBreaker { name } userErrors { code field } } }'
    )
    assert (await api.data(document, root))["openCircuitBreaker"] == {
        "circuitBreaker": None,
        "userErrors": [{"code": "NOT_FOUND", "field": "name"}],
    }
    document = '{ circuitBreaker(name: "x") { name } circuitBreakers { name } auditLog { totalCount } }'
    assert await api.data(document, root) == {
        "circuitBreaker": None,
        "circuitBreakers": [{"name": f"{platform}-api"} for platform in ("facebook", "instagram", "youtube")],
        "auditLog": {"totalCount": 0},
    }


async def test_rate_limits_are_seen_by_their_owner_and_reset_by_operators(api: Api) -> None:
    """The same figures everywhere; a reset gives the whole limit again."""
    ada, root = await api.add_person(), await api.add_person("Root", role=Role.ADMIN)
    await api.add_account(ada, Platform.INSTAGRAM)
    window = api.services.limits.window(f"user:{ada.user.id}", Platform.INSTAGRAM)
    async with api.services.database.begin() as c:
        await Quotas().take(c, "delivery", [window])
    shown = "key platform limit used remaining windowSeconds"
    used: dict[str, Any] = {
        "key": f"user:{ada.user.id}",
        "platform": "INSTAGRAM",
        "limit": 25,
        "used": 1,
        "remaining": 24,
        "windowSeconds": 3600,
    }
    document = f"{{ rateLimit(platform: INSTAGRAM) {{ {shown} }} accounts {{ nodes {{ rateLimit {{ {shown} }} }} }} }}"
    assert await api.data(document, ada) == {"rateLimit": used, "accounts": {"nodes": [{"rateLimit": used}]}}
    document = f"query ($id: ID!) {{ rateLimits(userId: $id) {{ {shown} }} }}"
    limits = (await api.data(document, root, id=user_id(ada)))["rateLimits"]
    assert [(limit["platform"], limit["limit"], limit["used"]) for limit in limits] == [
        ("INSTAGRAM", 25, 1),
        ("FACEBOOK", 50, 0),
        ("YOUTUBE", 10, 0),
    ]
    document = f"""
    mutation ($id: ID!) {{
      resetRateLimit(input: {{userId: $id, platform: INSTAGRAM}}) {{
        rateLimit {{ {shown} }} userErrors {{ code field }}
      }}
    }}
    """
    reset = (await api.data(document, root, id=user_id(ada)))["resetRateLimit"]
    assert reset == {"rateLimit": used | {"used": 0, "remaining": 25}, "userErrors": []}
    unknown = (await api.data(document, root, id="nonsense"))["resetRateLimit"]
    assert unknown == {"rateLimit": None, "userErrors": [{"code": "NOT_FOUND", "field": "userId"}]}
    [entry] = (await api.data(AUDIT, root))["auditLog"]["nodes"]
    assert (entry["action"], entry["subject"], entry["detail"]) == (
        "resetRateLimit",
        user_id(ada),
        {"platform": "INSTAGRAM"},
    )


async def test_failed_targets_are_sent_again_by_filter(api: Api) -> None:
    """Only what the filter means; the audit log has the filter."""
    ada, ben = await api.add_person(), await api.add_person("Ben")
    root = await api.add_person("Root", role=Role.ADMIN)
    for owner in (ada, ben):
        await api.schedule(owner, await api.add_account(owner))
    async with api.services.database.connect() as c:
        await c.execute(update(TARGETS).values(status="FAILED", error_code="CONTENT_REJECTED", next_attempt_at=None))
    document = "mutation ($f: FailedFilter!) { retryFailed(filter: $f) { count userErrors { code } } }"
    for wanted, count in (
        ({"codes": ["MISSED"]}, 0),
        ({"platforms": ["YOUTUBE"]}, 0),
        ({"userId": "nonsense"}, 0),
        ({"userId": user_id(ada), "codes": ["CONTENT_REJECTED"]}, 1),
        ({}, 1),
        ({}, 0),
    ):
        answer = (await api.data(document, root, f=wanted))["retryFailed"]
        assert answer == {"count": count, "userErrors": []}
    log = (await api.data(AUDIT, root))["auditLog"]
    assert log["totalCount"] == 6
    assert {"userId": user_id(ada), "codes": ["CONTENT_REJECTED"]} in [entry["detail"] for entry in log["nodes"]]


async def test_failures_are_counted_by_reason_as_they_would_be_sent_again(api: Api) -> None:
    """For any filter, the groups together are what `retryFailed` then finds; each has the words of its latest."""
    ada, ben = await api.add_person(), await api.add_person("Ben")
    root = await api.add_person("Root", role=Role.ADMIN)
    reasons = ["CONTENT_REJECTED", "CONTENT_REJECTED", "MEDIA_UNREACHABLE", "PERMISSION_DENIED"]
    for owner in (ada, ben):
        for platform in (Platform.FACEBOOK, Platform.INSTAGRAM):
            account = await api.add_account(owner, platform)
            for _ in reasons:
                await api.schedule(owner, account, media=[{"kind": "IMAGE", "url": "https://example.test/a.jpg"}])
    now = datetime.now(UTC)
    async with api.services.database.begin() as c:
        targets = list((await c.execute(select(TARGETS).order_by(TARGETS.c.id))).all())
        for n, target in enumerate(targets):
            failed = {"status": "FAILED", "error_code": reasons[n % 4], "error_message": f"no {n}"}
            await c.execute(update(TARGETS).where(TARGETS.c.id == target.id).values(**failed, next_attempt_at=None))
            ended_at = now - timedelta(hours=n)
            line = {"target_id": target.id, "number": 1, "step": "publish", "started_at": ended_at, "outcome": "FAILED"}
            await c.execute(insert(ATTEMPTS).values(id=new_id(), ended_at=ended_at, **line))

    document = """
    query ($f: FailedFilter) { failures(filter: $f) { code platform count lastFailedAt message } }
    """
    groups = (await api.data(document, root))["failures"]
    assert [group["count"] for group in groups] == [4, 4, 2, 2, 2, 2]
    first = next(n for n, target in enumerate(targets) if target.platform == groups[0]["platform"])
    assert groups[0] == {
        "code": "CONTENT_REJECTED",
        "platform": targets[first].platform,
        "count": 4,
        "lastFailedAt": f"{now - timedelta(hours=first):%Y-%m-%dT%H:%M:%S.%fZ}",
        "message": f"no {first}",
    }

    retry = "mutation ($f: FailedFilter!) { retryFailed(filter: $f) { count } }"
    wishes: list[tuple[dict[str, Any], int]] = [
        ({"failedSince": (now - timedelta(hours=2.5)).isoformat(), "platforms": ["FACEBOOK"]}, 3),
        ({"codes": ["CONTENT_REJECTED"], "userId": user_id(ben)}, 4),
        ({"platforms": ["YOUTUBE"]}, 0),
        ({"failedSince": (now - timedelta(hours=10.5)).isoformat()}, 6),
        ({}, 3),
    ]
    for wanted, count in wishes:
        groups = (await api.data(document, root, f=wanted))["failures"]
        retried = (await api.data(retry, root, f=wanted))["retryFailed"]["count"]
        assert sum(group["count"] for group in groups) == retried == count
        assert (await api.data(document, root, f=wanted))["failures"] == []


async def test_users_are_found_by_name_and_role(api: Api) -> None:
    """The newest first, page by page; signs that mean something to LIKE mean themselves."""
    root = await api.add_person("Root", role=Role.ADMIN)
    for name in ("Ada", "Adam 100%", "Ben_"):
        await api.add_person(name)
    document = """
    query ($f: UserFilter, $after: String, $first: Int = 2) {
      users(filter: $f, first: $first, after: $after) { totalCount nodes { name } pageInfo { hasNextPage endCursor } }
    }
    """

    async def names(**wanted: Any) -> list[str]:
        found = (await api.data(document, root, f=wanted, first=9))["users"]
        assert found["totalCount"] == len(found["nodes"])
        return [node["name"] for node in found["nodes"]]

    first = (await api.data(document, root))["users"]
    assert (first["totalCount"], [node["name"] for node in first["nodes"]]) == (4, ["Ben_", "Adam 100%"])
    second = (await api.data(document, root, after=first["pageInfo"]["endCursor"]))["users"]
    assert [node["name"] for node in second["nodes"]] == ["Ada", "Root"]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    assert await names(search="aDA") == ["Adam 100%", "Ada"]
    assert await names(search="%") == ["Adam 100%"]
    assert await names(search="_") == ["Ben_"]
    assert await names(role="ADMIN") == ["Root"]
    assert await names(search="root", role="PERSON") == []
    assert await api.codes(document, root, f={"search": "\0"}) == ["VALIDATION_FAILED"]


async def test_queue_and_workers_are_live(api: Api) -> None:
    """What changed a moment ago shows."""
    ada, root = await api.add_person(), await api.add_person("Root", role=Role.ADMIN)
    document = "{ queue { due scheduled publishing oldestDueAt latenessSeconds } workers { id publishing } }"
    empty = {"due": 0, "scheduled": 0, "publishing": 0, "oldestDueAt": None, "latenessSeconds": 0.0}
    assert await api.data(document, root) == {"queue": empty, "workers": []}
    await api.schedule(ada, await api.add_account(ada))
    worker = new_id()
    async with api.services.database.connect() as c:
        await c.execute(insert(WORKERS).values(id=worker, host="here", publishing=3))
    answer = await api.data(document, root)
    assert answer["queue"] == empty | {"scheduled": 1}
    assert answer["workers"] == [{"id": f"worker_{worker.hex}", "publishing": 3}]


async def test_cache_stats_count_by_resolver(api: Api) -> None:
    """A page is kept once it is asked for again, so the third look is a hit."""
    ada, root = await api.add_person(), await api.add_person("Root", role=Role.ADMIN)
    for _ in range(4):
        await api.data("{ posts { nodes { id } } }", ada)
    document = "{ cacheStats { isShared resolvers { resolver hits misses stale errors tooLarge hitRate } } }"
    stats = (await api.data(document, root))["cacheStats"]
    [pages] = [found for found in stats["resolvers"] if found["resolver"] == "render_posts"]
    assert (pages["hits"], pages["misses"], pages["hitRate"]) == (2, 2, 0.5)


async def test_everybodys_accounts_are_counted_by_platform_and_state(api: Api) -> None:
    """Whosever they are; the next end is the first that is still to come."""
    root = await api.add_person("Root", role=Role.ADMIN)
    now = datetime.now(UTC)
    made = [
        (Platform.INSTAGRAM, "CONNECTED", 40),
        (Platform.INSTAGRAM, "CONNECTED", 20),
        (Platform.INSTAGRAM, "EXPIRING", -1),
        (Platform.FACEBOOK, "EXPIRED", -3),
        (Platform.FACEBOOK, "CONNECTED", None),
        (Platform.INSTAGRAM, "EXPIRING", 5),
    ]
    for platform, status, days in made:
        account = await api.add_account(await api.add_person(), platform)
        ends = None if days is None else now + timedelta(days=days)
        async with api.services.database.begin() as c:
            await c.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account).values(status=status, expires_at=ends))
    groups = (await api.data("{ accountGroups { platform status count nextExpiryAt } }", root))["accountGroups"]
    told = [
        (
            one["platform"],
            one["status"],
            one["count"],
            one["nextExpiryAt"] and datetime.fromisoformat(one["nextExpiryAt"]),
        )
        for one in groups
    ]
    assert told == [
        ("INSTAGRAM", "CONNECTED", 2, now + timedelta(days=20)),
        ("INSTAGRAM", "EXPIRING", 2, now + timedelta(days=5)),
        ("FACEBOOK", "CONNECTED", 1, None),
        ("FACEBOOK", "EXPIRED", 1, None),
    ]
