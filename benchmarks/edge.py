"""What errors and health cost beside a bare Starlette answer of the same size: `python -m benchmarks.edge`.

The whole API, authentication, limits and codes on, on servers of its own; requests are ASGI calls in this process, so
that no network and no client is measured with it.
"""

import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import orjson
import structlog
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.api import open_api
from app.embedded import EmbeddedServers, Endpoints
from app.log import configure_logging
from app.migrating import migrate_database
from app.processes import open_container
from app.settings import Settings
from benchmarks.rounds import Contender, compare
from services.domain.credentials import mint_api_key
from services.domain.ids import new_id
from services.domain.viewers import Role, Scope
from services.queries.users import insert_key, insert_user


def request_to(app: ASGIApp, path: str, *, token: str = "", body: dict[str, Any] | None = None) -> Contender:
    """One request, straight into the application."""
    content = None if body is None else orjson.dumps(body)

    async def ask() -> object:
        return await send_to(app, path, token=token, content=content)

    return ask


async def send_to(app: ASGIApp, path: str, *, token: str = "", content: bytes | None = None) -> tuple[int, bytes]:
    """The status and the body of an answer; without content it is a GET."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET" if content is None else "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/json"),
            (b"authorization", token.encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "state": {},
    }
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content or b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


async def main(endpoints: Endpoints, folder: Path) -> None:
    """Errors on several roads, and both health endpoints."""
    await migrate_database(endpoints.database_url)
    async with open_container(Settings(data_dir=folder), endpoints) as container:
        token = await make_key(container.backends.database)
        async with open_api(container) as api:
            bodies = {
                "a field that is not there": {"query": "{ viewer { nope } }"},
                "no GraphQL at all": {"query": "{"},
                "forbidden": {"query": "{ queue { due } }"},
                "a user error": {"query": 'mutation { deletePost(input: { id: "post_x" }) { userErrors { code } } }'},
            }
            sample = Response(orjson.dumps({"errors": [{"message": "x" * 60, "extensions": {"code": "X" * 17}}]}), 400)

            async def answer(request: Request) -> Response:
                await request.body()
                return sample

            bare = Starlette(routes=[Route("/graphql", answer, methods=["POST"]), Route("/health", answer)])
            plain = request_to(bare, "/graphql", body=bodies["forbidden"])
            roads = {name: request_to(api.app, "/graphql", token=token, body=body) for name, body in bodies.items()}
            await compare({"bare Starlette": plain, **roads})
            health = {
                "liveness": request_to(api.app, "/api/v1/health"),
                "detailed": request_to(api.app, "/api/v1/health/detailed"),
            }
            await compare({"bare Starlette": request_to(bare, "/health"), **health})


async def make_key(database: Any) -> str:
    """Somebody's API key, as a header value."""
    key, user_id = mint_api_key(), new_id()
    async with database.begin() as c:
        await insert_user(c, user_id=user_id, name="Bench", role=Role.PERSON)
        await insert_key(
            c, key_id=key.key_id, user_id=user_id, name="bench", secret_hash=key.secret_hash, scope=Scope.WRITE
        )
    return f"Bearer {key.token}"


if __name__ == "__main__":
    configure_logging(log_format="json", level="ERROR")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="crier-bench-") as name:
        Path(name).chmod(0o755)
        with EmbeddedServers(data_dir=Path(name) / "data") as started:
            uvloop.run(main(started, Path(name) / "data"))
