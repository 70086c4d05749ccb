"""Metrics: everything is counted, nobody outside can make time series, and looking never fails or waits."""

import asyncio
import math
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.api import worker_api
from app.metrics import Metrics, Standing
from app.metrics.catalogue import CATALOGUE, Described, Kind, describe_all
from app.metrics.operations import MOST_NAMES
from app.metrics.tallies import Spread
from app.sandbox.running import RunningSandbox
from services.backends.database import Database
from services.domain.accounts import Platform
from services.domain.errors import ErrorCode
from services.domain.limits import project_date
from services.guards.rate_limiter import RateLimiterService
from services.models import TARGETS
from tests.app.scraping import Scraped, a_token, ask, scrape, serving
from tests.faulty import OwnRedis
from tests.rig import Rig, now, open_rig

README = (Path(__file__).parent.parent.parent / "README.md").read_text()


def test_every_metric_is_in_the_readme() -> None:
    """The table is the catalogue, word by word."""
    shown = re.search(r"<!-- metrics -->\n(.*)\n<!-- /metrics -->", README, re.S)
    assert shown is not None
    assert shown[1] == describe_all(), "paste this:\n" + describe_all()


async def test_what_is_shown_is_what_the_catalogue_says(rig: Rig) -> None:
    """Every family with its kind and its labels, and none besides, once everything has happened."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    await rig.schedule_due(ada, account)
    worker = rig.container.worker()
    stop = asyncio.Event()
    async with serving(rig) as http, rig.container.metrics.watching_loop():
        running = asyncio.create_task(worker.run(stop))
        token = await a_token(rig)
        for query in ("query A { posts { nodes { id author { name } } } }", "{ nothing }", "{ node(id: 1) { id } }"):
            await ask(http, token, query)
        async with asyncio.timeout(20):
            while (await scrape(http)).value("crier_publication_delay_seconds_count") < 1:
                await asyncio.sleep(0.05)
        shown = await scrape(http)
        stop.set()
        await running

    expected = {re.sub(r"_total$", "", name): metric for name, metric in CATALOGUE.items()}
    assert set(shown.families) == set(expected)
    for name, family in shown.families.items():
        assert family.type == expected[name].kind.value, name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(expected[name].labels), name


async def test_requests_count_by_name_field_outcome_and_code(rig: Rig) -> None:
    """Over HTTP: what ran, what was refused, and what never began."""
    async with serving(rig) as http:
        token = await a_token(rig)
        for _ in range(3):  # read, read and kept, and then from the cache
            await ask(http, token, "query Home { posts(first: 2) { nodes { id } } }")
        await ask(http, token, "{ viewer { id } accounts { nodes { id } } }")
        await ask(http, token, "query Bad { nothing }")
        await ask(http, None, "query Home { viewer { id } }")
        await ask(http, "crier_wrong", "{ viewer { id } }")
        await http.get("/nowhere")
        shown = await scrape(http)

    assert shown.value("crier_operations_total", operation="Home", kind="query", outcome="ok") == 3
    assert shown.value("crier_operations_total", operation="Home", outcome="refused") == 1
    assert shown.value("crier_operations_total", operation="unnamed", outcome="ok") == 1
    assert shown.value("crier_operations_total", operation="none", kind="none", outcome="refused") == 2
    assert shown.value("crier_operation_seconds_count", field="posts") == 3
    assert shown.value("crier_operation_seconds_count", field="several") == 1
    assert shown.value("crier_operation_statements_sum", field="posts") == 2
    assert shown.value("crier_errors_total", code="VALIDATION_FAILED") == 1
    assert shown.value("crier_errors_total", code="UNAUTHENTICATED") == 2
    assert shown.value("crier_errors_total", code="NOT_FOUND") == 1
    assert shown.value("crier_http_requests_total", route="other", status="4xx") == 1
    assert shown.value("crier_http_requests_total", route="/graphql", status="2xx") >= 4
    assert shown.value("crier_cache_answers_total", resolver="render_posts", result="hits") == 1
    assert shown.value("crier_requests_in_progress") == 1  # the look itself


async def test_publishing_counts_lateness_and_attempts(rig: Rig) -> None:
    """One post that goes out late, one that its platform fails first."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    metrics = rig.container.metrics
    publisher, claimer = rig.publisher(), rig.claimer()
    claimer._watch = publisher._watch = metrics
    await rig.come(await rig.schedule(ada, account), ago=timedelta(seconds=7))
    await rig.publish(publisher, claimer)
    rig.sandbox.arm("facebook.feed", status=500)
    await rig.schedule_due(ada, account)
    await rig.publish(publisher, claimer)
    async with serving(rig) as http:
        shown = await scrape(http)

    assert shown.value("crier_publication_delay_seconds_count", platform="FACEBOOK") >= 1
    assert shown.value("crier_publication_delay_seconds_sum", platform="FACEBOOK") >= 6
    assert shown.value("crier_claim_lateness_seconds_bucket", platform="FACEBOOK", le="5.0") < shown.value(
        "crier_claim_lateness_seconds_count", platform="FACEBOOK"
    )
    assert shown.value("crier_attempts_total", platform="FACEBOOK", outcome="SUCCEEDED", code="none") >= 1
    assert shown.value("crier_attempts_total", platform="FACEBOOK", outcome="FAILED") == 1
    assert shown.labels("crier_attempts_total", "code") <= {code.value for code in ErrorCode} | {"none"}


async def test_a_full_quota_and_a_rescue_are_counted(rig: Rig) -> None:
    """The eleventh upload of an hour finds no slot; a worker that fell silent is made good."""
    ada = await rig.add_user()
    metrics, claimer = rig.container.metrics, rig.claimer()
    claimer._watch = metrics
    for _ in range(11):
        account = await rig.add_account(ada, Platform.YOUTUBE)
        await rig.schedule_due(ada, account, sample="clip.mp4")
    assert len(await claimer.claim_due(rig.worker_id, limit=50)) == 10
    await rig.write(update(TARGETS).where(TARGETS.c.lease_until.is_not(None)).values(lease_until=now()))
    await rig.container._rescue()
    async with serving(rig) as http:
        shown = await scrape(http)
    assert shown.value("crier_quota_refusals_total", platform="YOUTUBE") == 1
    assert shown.value("crier_project_quota_used", platform="YOUTUBE") == 0, "no call was made"
    assert shown.value("crier_targets_rescued_total") == 10


async def test_the_queue_is_shown_as_the_database_has_it(rig: Rig) -> None:
    """Depth, lateness, reasons for waiting, workers, breakers and the project's quota."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    await rig.schedule(ada, account)
    late = await rig.schedule(ada, account)
    await rig.come(late, ago=timedelta(seconds=90))
    held = await rig.schedule(ada, account)
    await rig.write(update(TARGETS).where(TARGETS.c.post_id == held.post.id).values(waiting_code="RATE_LIMITED"))
    await rig.container.breakers.force_open(Platform.FACEBOOK.breaker, by="test")
    async with serving(rig) as http:
        shown = await scrape(http)

    assert shown.value("crier_targets", status="SCHEDULED") == 3
    assert shown.value("crier_targets_due") == 1
    assert 90 <= shown.value("crier_queue_lateness_seconds") < 150
    assert shown.value("crier_targets_waiting", code="RATE_LIMITED") == 1
    assert shown.value("crier_workers_alive") == 0
    assert shown.value("crier_breaker_state", breaker=Platform.FACEBOOK.breaker, state="OPEN") == 1
    assert shown.value("crier_breaker_state", breaker=Platform.FACEBOOK.breaker, state="CLOSED") == 0
    assert shown.value("crier_breaker_transitions_total", breaker=Platform.FACEBOOK.breaker, to="OPEN") == 1
    assert shown.value("crier_project_quota_limit", platform="YOUTUBE") == 100


async def test_operations_go_on_without_redis_and_that_is_counted(
    running_sandbox: RunningSandbox, database: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    """Nobody can look at a viewer's budget: everybody may go on, and operators see that nobody was held back."""
    own = OwnRedis(tmp_path)
    own.start()
    try:
        async with (
            open_rig(running_sandbox, database_url=database_url, redis_url=own.url, folder=tmp_path) as rig,
            serving(rig) as http,
        ):
            token = await a_token(rig)
            assert (await ask(http, token, "{ viewer { name } }")).json()["data"] == {"viewer": {"name": "Ada"}}
            assert (await scrape(http)).value("crier_api_budget_unguarded_total") <= 0
            own.kill()
            for _ in range(3):
                answer = await ask(http, token, "{ viewer { name } posts { nodes { id } } }")
                assert answer.json()["data"] == {"viewer": {"name": "Ada"}, "posts": {"nodes": []}}
            assert (await scrape(http)).value("crier_api_budget_unguarded_total") >= 1
    finally:
        own.kill()


async def test_looking_works_without_the_database(rig: Rig) -> None:
    """What cannot be looked at is absent and said to be; the rest is there, and soon."""
    metrics, container = Metrics(version="test"), rig.container
    nowhere = Database(url="postgresql://crier@127.0.0.1:1/crier", pool_min=0, pool_max=1)
    limits = RateLimiterService(database=nowhere, quotas=container.quotas, limits={})
    window = project_date(Platform.YOUTUBE, 100, datetime.now(UTC))
    standing = Standing(
        metrics=metrics,
        database=nowhere,
        gate=container.backends.gate,
        breakers=container.breakers,
        limits=limits,
        project_windows=lambda: {Platform.YOUTUBE: window},
    )
    began = time.monotonic()
    await standing.look()
    assert time.monotonic() - began < 3
    shown = Scraped(_text(metrics))
    assert math.isnan(shown.value("crier_targets_due"))
    assert shown.value("crier_targets") == -1
    assert shown.value("crier_look_failed", part="queue") == 1
    assert shown.value("crier_look_failed", part="breakers") == 0
    assert shown.value("crier_breaker_state", breaker=Platform.FACEBOOK.breaker, state="CLOSED") == 1
    await nowhere.close()


async def test_the_token_is_wanted_where_one_is_set(rig: Rig) -> None:
    """On a worker's port too."""
    settings = rig.container.settings.model_copy(update={"metrics_token": SecretStr("swordfish")})
    guarded = replace(rig.container, settings=settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(worker_api(guarded)), base_url="http://w") as http:
        assert (await http.get("/metrics")).status_code == 401
        answer = await http.get("/metrics", headers={"Authorization": "Bearer swordfish"})
        assert answer.status_code == 200
        assert "crier_targets_due" in answer.text


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=80), max_size=300), st.booleans())
def test_no_client_can_make_series_without_end(names: list[str], is_known: bool) -> None:
    """Whatever operations are called, and by whomever."""
    metrics = Metrics(version="test")
    for number, name in enumerate(names):
        noted = {"operation": f"{name}{number}", "kind": "query", "field": "posts", "codes": [], "status": 200}
        noted["viewer"] = "key:1" if is_known else None
        metrics.requests.note_http(f"/{name}", noted, 0.1)
        metrics.requests.note_http("/graphql", noted, 0.1)
    shown = Scraped(_text(metrics))
    labels = shown.labels("crier_operations_total", "operation")
    assert len(labels) <= (MOST_NAMES if is_known else 0) + 1
    assert shown.value("crier_operations_total") == (len(names) or -1)
    assert shown.labels("crier_http_requests_total", "route") <= {
        "/graphql",
        "/media",
        "/oauth",
        "/admin",
        "/metrics",
        "other",
    }


def _text(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(min_value=0, max_value=100) | st.sampled_from([1.0, 5.0]))))
def test_tallies_add_up_as_the_librarys_own_do(seen: list[tuple[str, float]]) -> None:
    """On every bound, between all, and beyond the last."""
    metric = Described("x", Kind.HISTOGRAM, "X.", ("of",), (0.5, 1, 5, 50))
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    spread = Spread(metric)
    ours.register(spread)
    oracle = Histogram("x", "X.", ["of"], registry=theirs, buckets=metric.buckets)
    for of, value in seen:
        spread.observe(value, of)
        oracle.labels(of).observe(value)

    def told(registry: CollectorRegistry) -> list[tuple[str, dict[str, str], float]]:
        shown = text_string_to_metric_families(generate_latest(registry).decode())
        samples = [(one.name, one.labels, one.value) for family in shown for one in family.samples]
        return [sample for sample in samples if not sample[0].endswith("_created")]

    assert told(ours) == told(theirs)
