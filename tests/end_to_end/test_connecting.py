"""Connecting an account as a person does it: a link, a yes in the browser, and the account is there."""

import asyncio
from collections.abc import Callable

import pytest
from playwright.async_api import Browser, expect

from tests.browsing import browser  # noqa: F401 - a fixture
from tests.end_to_end.local_run import LocalRun

pytestmark = [pytest.mark.slow, pytest.mark.browser]

CONNECT = """
mutation ($platform: Platform!) {
  connectAccount(input: { platform: $platform }) { authorizeUrl userErrors { code message } }
}
"""
LIST = "{ accounts(first: 50) { nodes { id platform handle status } } }"


async def test_a_person_connects_accounts_on_every_platform(
    browser: Browser,  # noqa: F811 - the fixture above
    start_run: Callable[..., LocalRun],
) -> None:
    """State, consent, code, tokens, and a second look at the same link gets nothing."""
    run = await asyncio.to_thread(start_run)
    before = {node["id"] for node in run.ask(LIST)["data"]["accounts"]["nodes"]}
    page = await browser.new_page()

    for platform in ("INSTAGRAM", "FACEBOOK", "YOUTUBE"):
        link = run.ask(CONNECT, {"platform": platform})["data"]["connectAccount"]["authorizeUrl"]
        assert link.startswith(f"{run.sandbox_url}/{platform.lower()}/")
        await page.goto(link)
        await page.get_by_role("button", name="Continue").first.click()
        await page.wait_for_url(f"{run.url}/oauth/**")
        await expect(page.locator("body")).to_contain_text("You may close this page")

        used = await page.request.get(page.url.split("#")[0])
        assert used.status == 400

    nodes = run.ask(LIST)["data"]["accounts"]["nodes"]
    added = [node for node in nodes if node["id"] not in before]
    assert {node["platform"] for node in added} == {"INSTAGRAM", "FACEBOOK", "YOUTUBE"}
    assert {node["status"] for node in nodes} == {"CONNECTED"}


async def test_a_person_who_says_no_gets_no_account(
    browser: Browser,  # noqa: F811 - the fixture above
    start_run: Callable[..., LocalRun],
) -> None:
    """The page says so, and nothing is stored."""
    run = await asyncio.to_thread(start_run)
    before = run.ask(LIST)["data"]
    page = await browser.new_page()
    link = run.ask(CONNECT, {"platform": "YOUTUBE"})["data"]["connectAccount"]["authorizeUrl"]
    await page.goto(link)
    await page.get_by_role("button", name="Cancel").click()
    await page.wait_for_url(f"{run.url}/oauth/**")
    await expect(page.locator("body")).to_contain_text("YouTube did not give its permission")
    assert run.ask(LIST)["data"] == before
