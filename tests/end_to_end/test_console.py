"""The console as an operator uses it: in a real browser, on a whole Crier, with faults that are really injected.

Screenshots are kept under `artefacts/console`, to be looked at.
"""

import asyncio
import json
import re
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from app.assets import build_assets
from tests.browsing import browser, find_chromium  # noqa: F401 — a fixture
from tests.end_to_end.local_run import ROOT, LocalRun, servers_in, start_local_run, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SHOTS = ROOT / "artefacts" / "console"
VIEWS = ("now", "failures", "people", "log")
POSTS = "{ posts(first: 100) { nodes { caption status } } }"


@pytest.fixture(scope="module")
def run() -> Iterator[LocalRun]:
    """One Crier for the tests of this file, with a person whose month is full."""
    find_chromium()  # or a skip, before anything starts
    build_assets()
    with tempfile.TemporaryDirectory(prefix="crier-console-") as parent:
        Path(parent).chmod(0o755)
        run = start_local_run(Path(parent) / "data")
        try:
            fill_month(run)
            yield run
        finally:
            run.stop()
            run.end()


def fill_month(run: LocalRun) -> None:
    """Posts with pictures over the coming days."""
    samples = [f"{run.sandbox_url}/samples/{name}.jpg" for name in ("dusk", "forest", "ocean", "sunrise")]
    posts = {
        f"A loaf for day {n}": (3600 * (9 * n + 1), [{"kind": "IMAGE", "url": samples[n % 4], "altText": "A view"}])
        for n in range(12)
    }
    schedule(run, posts)


def schedule(run: LocalRun, posts: dict[str, tuple[float, list[dict[str, str]]]]) -> None:
    """Posts of the demo's person to their Facebook Page, by caption: in how many seconds, with which media."""
    accounts = run.ask("{ accounts(filter: { platforms: [FACEBOOK] }) { nodes { id } } }")["data"]["accounts"]["nodes"]
    now = datetime.now(UTC)
    given = {
        f"i{n}": {
            "caption": caption,
            "accountIds": [accounts[0]["id"]],
            "scheduledAt": (now + timedelta(seconds=seconds)).isoformat(),
            "media": media,
        }
        for n, (caption, (seconds, media)) in enumerate(posts.items())
    }
    variables = ", ".join(f"${name}: SchedulePostInput!" for name in given)
    fields = " ".join(f"{name}: schedulePost(input: ${name}) {{ userErrors {{ message }} }}" for name in given)
    answer = run.ask(f"mutation ({variables}) {{ {fields} }}", given)
    assert {tuple(made["userErrors"]) for made in answer["data"].values()} == {()}


def status_of(run: LocalRun, caption: str) -> str:
    """Where a post stands."""
    nodes = run.ask(POSTS)["data"]["posts"]["nodes"]
    return next(str(node["status"]) for node in nodes if node["caption"] == caption)


@asynccontextmanager
async def looking(
    browser: Browser,  # noqa: F811 — the fixture above
    run: LocalRun,
    *,
    view: str = "now",
    key: str | None = None,
    **options: Any,
) -> AsyncIterator[Page]:
    """The console, signed in by a link; afterwards nobody else may have been asked, nor any complaint made."""
    context = await browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
    page = await context.new_page()
    asked: list[str] = []
    troubles: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    await page.goto(f"{run.url}/admin#key={key or run.token('admin')}")
    await expect(page.get_by_role("navigation")).to_be_visible()
    await page.goto(f"{run.url}/admin#{view}")
    yield page
    hosts = {urlsplit(url).netloc for url in asked if not url.startswith("data:")}
    assert hosts <= {urlsplit(run.url).netloc, urlsplit(run.sandbox_url).netloc}
    assert [told for told in troubles if "ERR_INTERNET_DISCONNECTED" not in told] == []
    await context.close()


def card_of(page: Page, title: str) -> Locator:
    """One card, by its heading."""
    return page.locator(".card").filter(has=page.get_by_role("heading", name=title))


async def test_only_an_admins_key_opens_the_console_and_it_stays_in_the_tab(
    browser: Browser,  # noqa: F811 — the fixture above
    run: LocalRun,
) -> None:
    """Wrong keys are told apart; the right one is in sessionStorage and nowhere else, and goes with a sign-out."""
    page = await (await browser.new_context()).new_page()
    await page.goto(f"{run.url}/admin")
    for key, words in (("crier_nonsense", "Nobody is known"), (run.token(), "not an admin’s")):
        await page.get_by_label("Admin key").fill(key)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_contain_text(words)
        assert await page.evaluate("sessionStorage.length") == 0
    await page.get_by_label("Admin key").fill(run.token("admin"))
    await page.keyboard.press("Enter")
    await expect(page.locator(".who")).to_have_text("Demo Admin")

    async def places() -> list[bool]:
        """Whether the key is in the tab's storage, the browser's, its cookies, and the address."""
        told = await page.evaluate("[{...sessionStorage}, {...localStorage}, document.cookie, location.href]")
        return [run.token("admin") in json.dumps(place) for place in told]

    assert await places() == [True, False, False, False]
    await page.reload()
    await expect(page.locator(".who")).to_have_text("Demo Admin")
    other = await page.context.new_page()
    await other.goto(f"{run.url}/admin")
    await expect(other.get_by_label("Admin key")).to_be_visible()

    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Admin key")).to_be_visible()
    assert await places() == [False, False, False, False]
    await page.goto(f"{run.url}/admin#key={run.token('admin')}")  # no new page: only what is behind the # is another
    await expect(page.locator(".who")).to_have_text("Demo Admin")
    assert await places() == [True, False, False, False]
    await page.context.close()


async def test_a_breaker_is_opened_and_closed_by_keyboard_after_a_question(
    browser: Browser,  # noqa: F811 — the fixture above
    run: LocalRun,
) -> None:
    """Escape changes nothing; a yes does, at once and in the audit log."""
    async with looking(browser, run) as page:
        await expect(page.locator(".chart canvas")).to_be_visible()
        await expect(page.locator(".chart figcaption")).to_contain_text("Now 0 targets due")
        card = card_of(page, "YouTube")
        await expect(card).to_contain_text("Closed")
        open_it = page.get_by_role("button", name="Open the breaker of YouTube")
        await open_it.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(open_it).to_be_focused()
        assert breaker_state(run) == "CLOSED"

        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(card.locator(".badge")).to_contain_text("Open")
        assert breaker_state(run) == "OPEN"
        await expect(card).to_contain_text("Opened by handDemo Admin")
        await expect(card).to_contain_text("opened by Demo Admin")
        await expect(page.get_by_role("region", name="Health")).to_contain_text("youtube-api OPEN by hand")
        await page.get_by_role("button", name="Close the breaker of YouTube").click()
        await page.get_by_role("dialog").get_by_role("button", name="Close").click()
        await expect(card.locator(".badge")).to_contain_text("Closed")
        assert breaker_state(run) == "CLOSED"

        await page.get_by_role("link", name="Audit log").click()
        rows = page.get_by_role("row")
        await expect(rows.nth(1)).to_contain_text("closeCircuitBreaker")
        await expect(rows.nth(2)).to_contain_text("Demo Admin")
        await expect(rows.nth(2)).to_contain_text("openCircuitBreaker")


def breaker_state(run: LocalRun) -> str:
    """What the API says of YouTube's."""
    answer = run.ask('{ circuitBreaker(name: "youtube-api") { state } }', token=run.token("admin"))
    return str(answer["data"]["circuitBreaker"]["state"])


async def test_failures_are_grouped_and_sent_again_together(
    browser: Browser,  # noqa: F811 — the fixture above
    run: LocalRun,
) -> None:
    """Posts that the platform really refused are counted by reason; one press, and they are out."""
    captions = [f"Refused {n}" for n in range(3)]
    fault = {"route": "facebook.feed", "preset": "permission", "times": 3}
    httpx.post(f"{run.sandbox_url}/control/faults", json=fault, trust_env=False).raise_for_status()
    await asyncio.to_thread(schedule, run, {caption: (1, []) for caption in captions})

    async with looking(browser, run, view="failures") as page:
        card = card_of(page, "PERMISSION_DENIED")
        await expect(card.locator(".count")).to_have_text("3", timeout=15_000)
        await expect(card).to_contain_text("Facebook")
        SHOTS.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=SHOTS / "failures.png")
        assert await faults_of(page) == []
        await card.get_by_role("button").click()
        await expect(page.get_by_role("dialog")).to_contain_text("Send 3 targets again?")
        await page.get_by_role("dialog").get_by_role("button", name="Retry").click()
        await expect(page.get_by_role("status")).to_contain_text("3 targets are sent again.")
        await expect(page.locator("main")).to_contain_text("Nothing has failed")

    def are_out() -> bool:
        return {status_of(run, caption) for caption in captions} == {"PUBLISHED"}

    await asyncio.to_thread(wait_until, are_out, "they were not sent again", seconds=20)


async def test_everybodys_accounts_are_counted_by_state(
    browser: Browser,  # noqa: F811 — the fixture above
    run: LocalRun,
) -> None:
    """By platform, with the end of the next token."""
    async with looking(browser, run) as page:
        panel = page.get_by_role("region", name="Accounts by platform and state")
        connected = panel.get_by_role("row", name="Connected").first
        await expect(connected.get_by_role("cell")).to_have_text(["1", "1", "1", re.compile("^in ")])
        await expect(panel.get_by_role("row", name="Revoked").get_by_role("cell")).to_have_text(["0", "0", "0", "–"])


async def test_a_persons_limits_accounts_and_month_are_shown(
    browser: Browser,  # noqa: F811 — the fixture above
    run: LocalRun,
) -> None:
    """Found by name; pictures are loaded, states are said in words, and a post opens."""
    now = datetime.now(UTC)
    async with looking(browser, run, view="people", timezone_id="UTC") as page:
        await page.get_by_label("Name").fill("person")
        await expect(page.locator(".names li")).to_have_count(1)
        await expect(page.get_by_role("button", name="Demo Person", exact=True)).to_have_attribute(
            "aria-pressed", "true"
        )
        limits = page.get_by_role("meter")
        await expect(limits).to_have_count(3)
        assert await limits.nth(1).get_attribute("aria-valuemax") == "50"
        await expect(page.locator(".rows .badge")).to_have_text(["✓Connected"] * 3)
        await expect(page.get_by_role("heading", name=f"{now:%B %Y}")).to_be_visible()

        facebook = page.locator(".limit", has_text="Facebook")
        await expect(facebook).not_to_contain_text("0 of 50 used", timeout=15_000)
        await facebook.get_by_role("button").click()
        await page.get_by_role("dialog").get_by_role("button", name="Reset").click()
        await expect(facebook).to_contain_text("0 of 50 used")
        assert used_of(run, "FACEBOOK") == 0

        post = page.locator(".post", has_text="The oven is lit.")
        await expect(post).to_contain_text("Published: ", timeout=15_000)
        await expect(post.locator("img")).to_have_js_property("complete", True)
        assert await post.locator("img").evaluate("picture => picture.naturalWidth") > 0
        await post.click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("harbourbakery on Facebook")
        assert await faults_of(page) == []
        await dialog.get_by_role("button", name="Close").click()

        await page.get_by_role("button", name="The month before").click()
        await expect(
            page.get_by_role("heading", name=f"{now.replace(day=1) - timedelta(days=1):%B %Y}")
        ).to_be_visible()


def used_of(run: LocalRun, platform: str) -> int:
    """How much of a limit the API says the person has used."""
    answer = run.ask("query ($p: Platform!) { rateLimit(platform: $p) { used } }", {"p": platform})
    return int(answer["data"]["rateLimit"]["used"])


async def test_the_audit_log_is_turned_page_by_page(
    browser: Browser,  # noqa: F811 — the fixture above
    run: LocalRun,
) -> None:
    """Older entries and back again; each has who did it to what."""
    many = " ".join(
        f'n{n}: resetCircuitBreaker(input: {{ name: "instagram-api" }}) {{ __typename }}' for n in range(15)
    )
    for _ in range(2):
        assert "errors" not in run.ask(f"mutation {{ {many} }}", token=run.token("admin"))
    async with looking(browser, run, view="log") as page:
        rows = page.locator("tbody tr")
        await expect(rows).to_have_count(25)
        newest = await rows.first.inner_text()
        assert "resetCircuitBreaker" in newest and "instagram-api" in newest
        await expect(page.get_by_role("button", name="Newer")).to_have_count(0)
        await page.get_by_role("button", name="Older").click()
        await expect(rows.nth(24)).to_have_count(0)
        await page.get_by_role("button", name="Newer").click()
        await expect(rows).to_have_count(25)


async def test_what_is_not_of_now_is_called_stale_and_silence_is_told(
    browser: Browser,  # noqa: F811 — the fixture above
    run: LocalRun,
) -> None:
    """Redis is frozen, then the database, then the network is gone: what was shown stays, marked as old, until it is of
    now again."""
    [redis] = [process for process in servers_in(run.folder) if process.name() == "redis-server"]
    async with looking(browser, run) as page:
        breaker = card_of(page, "Facebook")
        await expect(breaker.locator(".badge")).to_have_text("✓Closed")
        with frozen(redis):
            await expect(breaker.locator(".stale")).to_contain_text("Stale", timeout=20_000)
            await expect(page.get_by_role("region", name="Cache", exact=True)).to_contain_text("this process alone")
        await expect(page.locator(".stale")).to_have_count(0, timeout=20_000)

        queue = page.get_by_role("region", name="Queue", exact=True)
        with ExitStack() as stack:
            for process in servers_in(run.folder):
                if process.name() == "postgres":
                    stack.enter_context(frozen(process))
            await expect(queue.locator(".stale")).to_contain_text("as of", timeout=30_000)
            await expect(queue).to_contain_text("Late by")
        await expect(page.locator(".stale")).to_have_count(0, timeout=30_000)

        await page.context.set_offline(True)
        await expect(page.get_by_role("alert")).to_contain_text("Crier does not answer.")
        await expect(breaker).to_contain_text("Closed")
        await page.screenshot(path=SHOTS / "silence.png")
        await page.context.set_offline(False)
        await expect(page.get_by_role("alert")).to_have_count(0, timeout=20_000)


class frozen:  # noqa: N801 — reads as what it does
    """A process that neither works nor ends, while the block runs."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process

    def __enter__(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGCONT)


LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "has_touch": True},
}


@pytest.mark.parametrize("look", LOOKS)
async def test_every_view_is_accessible_and_fits(
    browser: Browser,  # noqa: F811 — the fixture above
    run: LocalRun,
    look: str,
) -> None:
    """Axe finds nothing serious in any view, nor in a window over it; nothing sticks out of the page."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    async with looking(browser, run, **LOOKS[look]) as page:
        for view in VIEWS:
            await page.goto(f"{run.url}/admin#{view}")
            await expect(page.locator(".waiting, .old")).to_have_count(0)
            if view == "people":
                await page.locator(".post").first.wait_for()
            await page.screenshot(path=SHOTS / f"{view}-{look}.png", full_page=True)
            assert look == "phone" or await faults_of(page) == []  # the same page, and axe takes its time
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        await page.goto(f"{run.url}/admin#now")
        await page.get_by_role("button", name="Open the breaker of YouTube").click()
        assert await faults_of(page) == []
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Admin key")).to_be_visible()
        assert await faults_of(page) == []


async def faults_of(page: Page) -> list[str]:
    """What axe calls serious or worse, and where. It comes by the debugger's door, as the policy lets nothing in."""
    if not await page.evaluate("'axe' in globalThis"):
        await page.evaluate((build_assets() / "axe.min.js").read_text())
    found = await page.evaluate("axe.run().then(({ violations }) => violations)")
    return [
        f"{fault['id']}: {node['html'][:120]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
