"""What a person does and sees in a real browser: pages that keep themselves up to date, and a yes by a click."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from playwright.async_api import Browser, Route, expect

from app.sandbox.running import RunningSandbox

Caller = Callable[..., httpx.Response]

BACK = "http://127.0.0.1:9/oauth/instagram/callback"


@pytest.mark.browser
async def test_open_page_shows_a_new_post_and_leaves_the_old_ones_alone(
    browser: Browser, sandbox: RunningSandbox, facebook: Caller
) -> None:
    """The new card comes first; the old one is the same element as before, so nothing flickers and videos play on."""
    facebook("POST", "{me}/feed", message="already there")
    page = await browser.new_page(viewport={"width": 1200, "height": 800})
    await page.goto(sandbox.url)
    cards = page.locator("#facebook .card")
    await expect(cards).to_have_count(1)
    await cards.first.evaluate("card => { card.isOldElement = true }")

    facebook("POST", "{me}/feed", message="just arrived")

    await expect(cards).to_have_count(2)
    await expect(cards.first).to_contain_text("just arrived")
    assert await cards.last.evaluate("card => card.isOldElement === true")
    await expect(page.locator("#facebook h2 .total")).to_have_text("2")


@pytest.mark.browser
async def test_page_asks_nobody_else(
    browser: Browser, sandbox: RunningSandbox, instagram: Caller, container: Callable[[str], str]
) -> None:
    """Every request goes to the sandbox, and the picture is really shown."""
    instagram("POST", "{me}/media_publish", creation_id=container("seen"))
    page = await browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await page.goto(sandbox.url)

    shot = page.locator("#instagram .shot")
    await expect(shot).to_have_js_property("complete", True)
    assert await shot.evaluate("image => image.naturalWidth") == 1080
    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {urlsplit(sandbox.url).netloc}


@pytest.mark.browser
async def test_columns_of_a_narrow_page_do_not_widen_it(browser: Browser, sandbox: RunningSandbox) -> None:
    """On a phone one column fills the screen, and a tab leads to the next."""
    page = await browser.new_page(viewport={"width": 390, "height": 800})
    await page.goto(sandbox.url)

    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await page.get_by_role("link", name="YouTube").click()
    await expect(page.locator("#youtube h2")).to_be_in_viewport()


@pytest.mark.browser
async def test_person_says_yes_by_a_click(browser: Browser, sandbox: RunningSandbox) -> None:
    """The button says as whom; the click leads back to the app with a code that is worth a token of that account."""
    page = await browser.new_page()
    came_back: list[str] = []

    async def answer(route: Route) -> None:
        came_back.append(route.request.url)
        await route.fulfill(body="welcome back")

    await page.route(f"{BACK}**", answer)
    asked = {
        "client_id": "crier-sandbox",
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "instagram_business_basic",
        "state": "abc",
    }
    await page.goto(f"{sandbox.url}/instagram/oauth/authorize?{urlencode(asked)}")
    await page.get_by_text("Cleo Outdoors").click()
    await page.get_by_role("button", name="Continue as Cleo Outdoors").click()
    await expect(page.locator("body")).to_have_text("welcome back")

    query = parse_qs(urlsplit(came_back[0]).query)
    assert query["state"] == ["abc"]
    exchange = {
        "client_id": "crier-sandbox",
        "client_secret": "crier-sandbox-secret",
        "grant_type": "authorization_code",
        "redirect_uri": BACK,
        "code": query["code"][0],
    }
    assert sandbox.http.post("/instagram/oauth/access_token", data=exchange).json()["user_id"] == "17841400000000003"
