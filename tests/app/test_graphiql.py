"""GraphiQL in a real browser, on a small schema that has what the page itself needs."""

import json
from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import strawberry
from graphql import OperationDefinitionNode, build_schema, parse, validate
from graphql.execution.values import get_variable_values
from playwright.async_api import Browser, Locator, Page, WebSocket, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from app.assets import PAGES, build_assets
from app.graphiql import GraphiQL, is_from_this_machine, read_examples, wants_page
from tests.serving import Serve

TOKEN = "demo_secret_token"


class Platform(StrEnum):
    FACEBOOK = "FACEBOOK"


@strawberry.input
class AccountFilter:
    platforms: list[strawberry.enum(Platform)]  # type: ignore[valid-type] # made an enum in passing


@strawberry.type
class Account:
    id: strawberry.ID


@strawberry.type
class Edge:
    node: Account


@strawberry.type
class Accounts:
    edges: list[Edge]


@strawberry.type
class Query:
    @strawberry.field
    def accounts(self, filter: AccountFilter, first: int) -> Accounts:  # noqa: A002 — the contract's name
        return Accounts(edges=[Edge(node=Account(id=strawberry.ID("acct_of_the_viewer")))])

    @strawberry.field
    def greeting(self, name: str) -> str:
        return f"Hello {name}"

    @strawberry.field
    def authorization(self, info: strawberry.Info) -> str:
        request = info.context["request"]
        return str(request.headers.get("authorization"))


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def posts_changed(self, info: strawberry.Info) -> AsyncIterator[str]:
        yield str(info.context["connection_params"]["authorization"])
        yield "the second"


def an_app(*, assets: Path | None, token: str | None = TOKEN) -> Starlette:
    """GraphiQL before a schema."""
    graphiql = GraphiQL(assets=assets, token=token)
    view = GraphQL(
        strawberry.Schema(Query, subscription=Subscription), subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL]
    )

    async def page(request: Request) -> Response:
        assert wants_page(request)
        return graphiql.page(request)

    routes: list[BaseRoute] = [
        *graphiql.routes(),
        Route("/graphql", page, methods=["GET"]),
        Route("/graphql", view, methods=["POST"]),
        WebSocketRoute("/graphql", view),
    ]
    return Starlette(routes=routes)


@pytest.fixture(scope="session")
def assets() -> Path:
    """What `make` builds; made here where it was not."""
    return build_assets()


async def open_page(browser: Browser, origin: str, asked: list[str], **options: str) -> Page:
    """GraphiQL once it knows the schema; every address that it asks for goes into `asked`."""
    context = await browser.new_context(viewport={"width": 1400, "height": 900}, **options)  # type: ignore[arg-type] # colour scheme
    page = await context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.on("pageerror", lambda error: asked.append(f"pageerror: {error}"))
    page.on("console", lambda said: asked.append(f"console: {said.text}") if said.type == "error" else None)
    await page.goto(f"{origin}/graphql")
    await settled(page)
    return page


async def settled(page: Page) -> None:
    """Wait until every editor is there: GraphiQL forgets a click on a tab before."""
    for editor in ("query-editor", "editor-tool", "response"):
        await expect(page.locator(f".graphiql-{editor} .view-lines").first).to_be_attached()


async def run_query(page: Page, name: str, text: str) -> Locator:
    """Type into the query editor as a person does, in place of what is there, and run it: where the result appears."""
    await page.locator(".graphiql-query-editor .view-lines").click()
    await page.keyboard.press("Control+A")
    await page.keyboard.press("Delete")
    await page.keyboard.type(text, delay=5)
    await expect(page.get_by_role("tab", selected=True)).to_contain_text(name)  # the editor is read with a short delay
    await page.keyboard.press("Control+Enter")
    return page.locator(".result-window")


@pytest.mark.browser
async def test_page_runs_a_typed_query_and_asks_nobody_else(browser: Browser, serve: Serve, assets: Path) -> None:
    """A typed query is run and answered; every request goes to the page's own origin; nothing breaks its policy."""
    origin = await serve(an_app(assets=assets))
    asked: list[str] = []
    page = await open_page(browser, origin, asked)

    result = await run_query(page, "Mine", 'query Mine { greeting(name: "Crier") authorization')

    await expect(result).to_contain_text("Hello Crier")
    await expect(result).to_contain_text(f"Bearer {TOKEN}")
    hosts = {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {urlsplit(origin).netloc}, asked
    assert any(url.endswith("graphql.worker.js") for url in asked)


@pytest.mark.browser
async def test_page_runs_a_subscription_over_graphql_transport_ws(browser: Browser, serve: Serve, assets: Path) -> None:
    """The token of the headers travels in connection_init, and what comes later replaces what came first."""
    page = await open_page(browser, await serve(an_app(assets=assets)), [])
    received: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: received.append(str(frame)))

    page.on("websocket", listen)

    result = await run_query(page, "Changes", "subscription Changes { postsChanged")

    await expect(result).to_contain_text("the second")
    assert any(f"Bearer {TOKEN}" in frame for frame in received)


@pytest.mark.browser
async def test_page_writes_no_token_to_the_browsers_storage(browser: Browser, serve: Serve, assets: Path) -> None:
    """After a run and a reload, the tabs and the history are there, the token is in the headers and nowhere on disk."""
    page = await open_page(browser, await serve(an_app(assets=assets)), [])
    result = await run_query(page, "Mine", "query Mine { authorization")
    await expect(result).to_contain_text(TOKEN)
    while "query Mine" not in await page.evaluate("sessionStorage['graphiql:tabState'] ?? ''"):
        await page.wait_for_timeout(50)

    await page.reload()
    await settled(page)
    await page.get_by_label("Execute query (Ctrl-Enter)").click()

    await expect(page.locator(".result-window")).to_contain_text(TOKEN)
    stored = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert "query Mine" in json.loads(stored)[0]["graphiql:queries"]
    assert TOKEN not in stored
    assert await page.get_by_role("tab").count() == len(read_examples(PAGES / "examples"))


def test_examples_are_valid_queries_of_the_contract() -> None:
    """What the page offers can be run: documents by the schema's snapshot, variables by their types."""
    schema = build_schema((PAGES.parent.parent / "schema" / "schema.graphql").read_text())

    for example in read_examples(PAGES / "examples"):
        document = parse(example["query"] or "")
        assert validate(schema, document) == []
        operation = document.definitions[0]
        assert isinstance(operation, OperationDefinitionNode)
        text = (example["variables"] or "{}").replace("IN_ONE_MINUTE", "2030-01-01T00:00:00Z")
        values = get_variable_values(schema, operation.variable_definitions or (), json.loads(text))
        assert not isinstance(values, list), values


@pytest.mark.browser
async def test_examples_name_an_account_of_the_viewer_and_a_time_ahead(
    browser: Browser, serve: Serve, assets: Path
) -> None:
    """The mutation's variables are filled in, so that it runs as it stands."""
    page = await open_page(browser, await serve(an_app(assets=assets)), [])

    await page.get_by_role("tab", name="SchedulePost").click()

    variables = page.locator(".graphiql-editor-tool")
    await expect(variables).to_contain_text("acct_of_the_viewer")
    await expect(variables).to_contain_text("Z")
    await expect(variables).not_to_contain_text("IN_ONE_MINUTE")


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
async def test_page_follows_the_systems_colours(
    browser: Browser, serve: Serve, assets: Path, scheme: str, is_dark: bool
) -> None:
    """A dark system gets a dark page."""
    page = await open_page(browser, await serve(an_app(assets=assets)), [], color_scheme=scheme)

    await expect(page.locator(".monaco-editor.vs-dark").first).to_be_visible(visible=is_dark)


async def test_page_keeps_the_token_from_other_machines_and_names(serve: Serve) -> None:
    """The token is told to a loopback name only: a page elsewhere may have pointed a name of its own at 127.0.0.1."""
    origin = await serve(an_app(assets=None))
    async with httpx.AsyncClient(headers={"accept": "text/html"}) as client:
        own = await client.get(f"{origin}/graphql")
        rebound = await client.get(f"{origin}/graphql", headers={"host": "evil.example"})

    assert TOKEN in own.text
    assert rebound.status_code == 200
    assert TOKEN not in rebound.text


@pytest.mark.parametrize(
    ("client", "host", "is_local"),
    [
        ("127.0.0.1", "localhost:8000", True),
        ("::1", "[::1]:8000", True),
        ("127.0.0.1", "127.0.0.1:8000", True),
        ("192.168.1.7", "localhost:8000", False),
        ("127.0.0.1", "crier.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "", False),
    ],
)
def test_is_from_this_machine_wants_both_address_and_name(client: str, host: str, is_local: bool) -> None:
    """Either alone can be made up."""
    headers = [(b"host", host.encode())] if host else []
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/graphql",
        "headers": headers,
        "client": (client, 5),
        "query_string": b"",
    }
    assert is_from_this_machine(Request(scope)) is is_local


async def test_page_has_a_strict_policy_and_its_assets_are_kept(serve: Serve, assets: Path) -> None:
    """No script but our own files; the page is never stored, its assets for ever."""
    origin = await serve(an_app(assets=assets))
    async with httpx.AsyncClient(base_url=origin, headers={"accept": "text/html"}) as client:
        page = await client.get("/graphql")
        script = await client.get(f"/graphql/assets/{assets.name}/graphiql.js")
        outside = await client.get(f"/graphql/assets/{assets.name}/..%2f..%2fpyproject.toml")

    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-security-policy"] == page.headers["content-security-policy"]
    assert script.headers["content-type"].startswith("text/javascript")
    assert outside.status_code == 404


async def test_page_without_assets_says_how_to_build_them(serve: Serve) -> None:
    """A checkout without npm still starts, and tells what is missing."""
    origin = await serve(an_app(assets=None))
    async with httpx.AsyncClient(headers={"accept": "text/html"}) as client:
        page = await client.get(f"{origin}/graphql")

    assert "python -m app.assets" in page.text


def test_settings_in_the_page_cannot_end_their_element() -> None:
    """Whatever a token holds, it stays data."""
    graphiql = GraphiQL(assets=None, token="</script><script>alert(1)</script>")
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/graphql",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 5),
        "query_string": b"",
    }
    page = bytes(graphiql.page(Request(scope)).body).decode()

    assert "alert(1)" in page
    assert page.count("</script>") == 2
