"""What a developer does first: open the page that `make run` names, press the buttons, see the post go out."""

import asyncio
import json
import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, expect

from app.assets import build_assets
from tests.browsing import browser  # noqa: F401 — a fixture
from tests.end_to_end.local_run import LocalRun

pytestmark = [pytest.mark.slow, pytest.mark.browser]


async def open_tab(page: Page, name: str) -> None:
    """Choose one of the examples; its name appears in the editor."""
    await page.get_by_role("tab", name=name).first.click()
    await expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text(name)
    await page.wait_for_timeout(1_000)  # which operation the tab holds, the page learns a moment later


async def run_it(page: Page, *, expected: str) -> None:
    """Press the button; again if it was too early even so."""
    result = page.locator(".result-window")
    for _ in range(5):
        await page.get_by_label("Execute query (Ctrl-Enter)").click()
        # The editor shows spaces as no-break spaces.
        either = re.compile(f"{expected}|Unknown operation".replace(" ", r"\s"))
        await expect(result).to_contain_text(either, timeout=15_000)
        if expected in (await result.text_content() or "").replace("\N{NO-BREAK SPACE}", " "):
            return
    raise AssertionError("the page never learned which operation its tab holds")


async def test_examples_schedule_a_post_and_watch_it_go_out(
    browser: Browser,  # noqa: F811 — the fixture above
    start_run: Callable[..., LocalRun],
) -> None:
    """Nothing is typed but a nearer time: token, account and documents are there. Nothing comes from elsewhere."""
    build_assets()
    run = await asyncio.to_thread(start_run)
    asked: list[str] = []
    troubles: list[str] = []
    page = await (await browser.new_context(viewport={"width": 1400, "height": 900})).new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    await page.goto(f"{run.url}/graphql")
    result = page.locator(".result-window")

    await expect(page.locator(".graphiql-response .view-lines")).to_be_attached()
    await open_tab(page, "SchedulePost")
    await run_it(page, expected='"status": "SCHEDULED"')
    markers = await page.evaluate("__MONACO.editor.getModelMarkers({}).map((marker) => marker.message)")
    posts = run.ask("{ posts(first: 1, orderBy: CREATED_AT_DESC) { nodes { id caption } } }")["data"]["posts"]["nodes"]
    await open_tab(page, "PostsChanged")
    await run_it(page, expected='"postsChanged"')
    run.ask(f'mutation {{ publishPostNow(input: {{ id: "{posts[0]["id"]}" }}) {{ userErrors {{ message }} }} }}')
    await expect(result).to_contain_text('"PUBLISHED"', timeout=15_000)

    assert posts[0]["caption"] == "Hello from Crier"
    assert markers == [], "the editor finds fault with an example"
    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {urlsplit(run.url).netloc}
    assert [told for told in troubles if "status of 400" not in told] == []
    assert run.token() not in await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert json.loads(await page.inner_text("#settings"))["token"] == run.token()
