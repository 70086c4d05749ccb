"""The REST description is true: every endpoint is in it, and gives each answer that stands there, and none else."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from playwright.async_api import Browser, expect
from pydantic import SecretStr
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from app.api import edge_options, open_api
from app.asgi import assemble
from app.assets import build_assets
from app.auth import Authenticator
from app.console import URL as CONSOLE_URL
from app.foundations import utc_now
from app.graphiql import ENDPOINT
from app.media import Media
from app.openapi import DESCRIPTION_URL, describe_api
from app.reference import PAGE_URL, reference_routes
from services.backends.database import Database
from services.domain.accounts import Platform
from services.domain.credentials import mint_api_key
from services.domain.viewers import Scope, Viewer
from services.queries.users import insert_key
from tests.media_files import a_picture, a_video
from tests.rig import Rig
from tests.serving import Serve

DESCRIPTION = describe_api("0.test")
ROOT = "urn:crier"
REGISTRY: Registry[Any] = Registry().with_resource(
    ROOT, Resource(contents={"components": DESCRIPTION["components"]}, specification=DRAFT202012)
)
NOT_REST = {ENDPOINT, CONSOLE_URL, PAGE_URL}
"""GraphQL has its own contract; pages are for people."""
NOBODYS_OWN = {"400", "429", "503", "504"}
"""What `default` may stand for: a header that makes no sense, too many wrong keys, a part that is away, time over."""


def test_the_description_is_openapi() -> None:
    """By the specification's own schema, references and all."""
    validate(DESCRIPTION)


@dataclass
class Asked:
    """Answers, each held against the description; and which of it they showed."""

    seen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def check(self, path: str, answer: httpx.Response) -> httpx.Response:
        """The answer is one of those described for its path: status, media type, body and headers."""
        method = answer.request.method.lower()
        described = DESCRIPTION["paths"][path][method]["responses"]
        told = str(answer.status_code)
        status = "default" if told in NOBODYS_OWN - described.keys() else told
        assert status in described, f"{method} {path} answered {told}: {answer.text[:200]}"
        self.seen[f"{method} {path}"].add(status)

        for name, header in described[status].get("headers", {}).items():
            validator(header["schema"]).validate(answer.headers.get(name))
        content = described[status].get("content")
        if content is None:
            assert answer.content == b""
            return answer
        media_type = answer.headers["content-type"]
        exact = content.get(media_type) or content.get(media_type.partition(";")[0])
        assert exact is not None, f"{method} {path} answered {told} {media_type}: {answer.text[:200]}"
        if media_type.startswith("application/json"):
            validator(exact["schema"]).validate(answer.json())
        return answer


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Holds values against one of the description's schemas."""
    rooted = {"$id": ROOT, "components": DESCRIPTION["components"], **schema}
    return Draft202012Validator(rooted, registry=REGISTRY)


@asynccontextmanager
async def client_of(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Asks an application in this process."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://crier.test", timeout=20) as client:
        yield client


async def key_of(rig: Rig, viewer: Viewer, scope: Scope) -> dict[str, str]:
    """The header with a new key of somebody's."""
    key = mint_api_key()
    async with rig.container.backends.database.begin() as c:
        await insert_key(
            c, key_id=key.key_id, user_id=viewer.user.id, name="t", secret_hash=key.secret_hash, scope=scope
        )
    return {"authorization": f"Bearer {key.token}"}


async def test_every_endpoint_gives_every_answer_that_is_described(rig: Rig) -> None:
    """Each is brought about for real; none is left out, and no route of the application is missing."""
    strict = {"metrics_token": SecretStr("of the metrics"), "media_max_bytes": 9_000, "auth_failures": 1}
    settings = rig.container.settings.model_copy(update=strict)
    rig = replace(rig, container=replace(rig.container, settings=settings))
    asked = Asked()
    async with open_api(rig.container) as api, client_of(api.app) as http:
        assert {path for path in paths_of(api.app.routes) if path not in NOT_REST} == set(DESCRIPTION["paths"])
        await ask_media(rig, http, asked)
        await ask_callback(rig, http, asked)
        await ask_metrics(http, asked)
        for path in ("/api/v1/health", "/api/v1/health/detailed", "/metrics", DESCRIPTION_URL):
            asked.check(path, await http.get(path, headers={"x-request-timeout": "1.5 s"}))
        served = asked.check(DESCRIPTION_URL, await http.get(DESCRIPTION_URL)).json()
        assert served["paths"] == DESCRIPTION["paths"]
        for _ in range(2):
            for path in ("/api/v1/health", "/api/v1/health/detailed"):
                asked.check(path, await http.get(path))
            rig.container.health.begin_stopping()

    expected = {
        f"{method} {path}": set(operation["responses"])
        for path, operations in DESCRIPTION["paths"].items()
        for method, operation in operations.items()
    }
    assert dict(asked.seen) == expected


def paths_of(routes: list[BaseRoute]) -> set[str]:
    """Where requests are answered; files that pages load are no endpoints."""
    assert {type(route).__name__ for route in routes} <= {"Route", "Mount", "WebSocketRoute"}
    return {route.path for route in routes if isinstance(route, Route)} - {
        route.path for route in routes if isinstance(route, Mount)
    }


async def ask_media(rig: Rig, http: httpx.AsyncClient, asked: Asked) -> None:
    """Uploads of every fate, and fetching one back."""
    ada = await rig.add_user()
    writing, reading = await key_of(rig, ada, Scope.WRITE), await key_of(rig, ada, Scope.READ)
    fetch = "/media/{upload}/{name}"

    asked.check("/media", await http.post("/media", headers=writing, files={"file": ("a.mp4", a_video())}))
    asked.check("/media", await http.post("/media", headers=writing, content=b"no picture"))
    asked.check("/media", await http.post("/media", content=a_picture()))
    asked.check("/media", await http.post("/media", headers=reading, content=a_picture()))
    asked.check("/media", await http.post("/media", headers=writing, content=bytes(100_000)))
    upload = asked.check("/media", await http.post("/media", headers=writing, content=a_picture())).json()
    address = urlsplit(upload["url"])
    url = f"{address.path}?{address.query}"
    whole = asked.check(fetch, await http.get(url))
    asked.check(fetch, await http.get(url, headers={"range": "bytes=0-9"}))
    asked.check(fetch, await http.get(url, headers={"range": "bytes=99999-"}))
    asked.check(fetch, await http.get(url, headers={"if-none-match": whole.headers["etag"]}))
    asked.check(fetch, await http.get(url[:-1]))
    folder = rig.container.settings.data_dir / "media"
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        file.unlink()
    asked.check(fetch, await http.get(url))
    wrong = {"authorization": f"Bearer {mint_api_key().token}"}
    guesses = [asked.check("/media", await http.post("/media", headers=wrong)).status_code for _ in range(3)]
    assert guesses == [401, 401, 429]

    async def breaking_off() -> AsyncIterator[bytes]:
        yield b"a beginning"
        await asyncio.Event().wait()

    authenticator = Authenticator(database=rig.container.backends.database, jwts=None, now=utc_now)
    media = Media(
        uploads=copy(rig.container.uploads), identify=authenticator.identify, patience=timedelta(milliseconds=50)
    )
    app = assemble(media.routes(), edge_options(rig.container.settings), rig.container.metrics.requests)
    async with client_of(app) as impatient:
        asked.check("/media", await impatient.post("/media", headers=writing, content=breaking_off()))
    media._uploads._database = nowhere = Database(url="postgresql://c@127.0.0.1:1/c", pool_min=0, pool_max=1)
    async with client_of(app) as unlucky:
        assert asked.check(fetch, await unlucky.get(url)).status_code == 503
    await nowhere.close()
    await authenticator.close()


async def ask_callback(rig: Rig, http: httpx.AsyncClient, asked: Asked) -> None:
    """A yes, a link that nobody gave out, and a platform that does not answer."""
    path, address = "/oauth/{platform}/callback", "/oauth/youtube/callback"
    ada = await rig.add_user()

    async def agreed() -> dict[str, str]:
        """What the platform sends back with a person who said yes."""
        link = await rig.container.accounts.connect_account(ada, Platform.YOUTUBE)
        people = rig.sandbox.http.get("/control/accounts").json()["accounts"]
        subject = next(account["id"] for account in people if account["platform"] == "youtube")
        answer = rig.sandbox.http.post(link, data={"decision": "continue", "subject": subject})
        return {key: values[0] for key, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    asked.check(path, await http.get(address, params=await agreed()))
    asked.check(path, await http.get(address, params={"state": "nobody's", "code": "none"}))
    asked.check(path, await http.get("/oauth/elsewhere/callback"))
    parameters = await agreed()
    rig.sandbox.arm("youtube.token", status=503, times=9)
    asked.check(path, await http.get(address, params=parameters))
    asked.check(path, await http.get(address, params=parameters, headers={"x-request-timeout": "0"}))
    rig.sandbox.http.delete("/control/faults")
    rig.sandbox.arm("youtube.token", action="delay", seconds=20)
    hurried = await http.get(address, params=await agreed(), headers={"x-request-timeout": "400"})
    assert asked.check(path, hurried).status_code == 504


async def ask_metrics(http: httpx.AsyncClient, asked: Asked) -> None:
    """With its token and without."""
    asked.check("/metrics", await http.get("/metrics"))
    asked.check("/metrics", await http.get("/metrics", headers={"authorization": "Bearer of the metrics"}))


def test_the_page_is_for_developers_and_the_description_for_everybody() -> None:
    """In production there is nothing to press."""
    open_ones = [
        route.path for route in reference_routes(version="1", assets=None, has_page=False) if isinstance(route, Route)
    ]
    assert open_ones == [DESCRIPTION_URL]


@pytest.mark.browser
async def test_swagger_ui_shows_every_endpoint_and_sends_requests(browser: Browser, serve: Serve, rig: Rig) -> None:
    """Under its policy, with nothing from elsewhere; a press of the button is answered by this very server."""
    build_assets()
    async with open_api(rig.container) as api:
        origin = await serve(api.app)
        asked: list[str] = []
        troubles: list[str] = []
        page = await (await browser.new_context()).new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        answer = await page.goto(f"{origin}{PAGE_URL}")
        assert answer is not None and "script-src 'self';" in answer.headers["content-security-policy"]
        await expect(page.locator(".opblock")).to_have_count(len(DESCRIPTION["paths"]))

        await page.locator("#operations-health-live .opblock-summary-control").click()
        await page.get_by_role("button", name="Try it out").click()
        await page.get_by_role("button", name="Execute").click()
        await expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")

        hosts = {urlsplit(url).netloc for url in asked if not url.startswith("data:")}
        assert hosts == {urlsplit(origin).netloc}
        assert troubles == []
