"""What a Graph read gives back: the fields that were asked for, and lists with cursors."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from app.sandbox.calls import Call
from app.sandbox.graph.errors import bad_parameter
from app.sandbox.graph.parameters import whole_number
from app.sandbox.records import Publication
from app.sandbox.world import World

Node = Mapping[str, Any]


def select(call: Call, node: Node, *, kind: str, default: Sequence[str]) -> dict[str, Any]:
    """The fields asked for, and always the id; a field that does not exist is refused, one that is None left out."""
    # A nested selection (`picture{url}`, `comments.limit(5)`) asks for the whole field here.
    outer = re.sub(r"\{[^}]*\}|\.\w+\([^)]*\)", "", call.param("fields"))
    asked = [name.strip() for name in outer.split(",") if name.strip()] or list(default)
    for name in asked:
        if name not in node:
            raise bad_parameter(f"Tried accessing nonexisting field ({name}) on node type ({kind})")
    return {name: node[name] for name in dict.fromkeys([*asked, "id"]) if node[name] is not None}


def answer_page(
    world: World,
    call: Call,
    publications: Sequence[Publication],
    *,
    node_of: Callable[[Publication], Node],
    kind: str,
    default: Sequence[str],
) -> Response:
    """One page of a list, as `limit`, `after` and `fields` ask."""
    limit = min(whole_number(call, "limit", default=25), 100)
    begin = _begin(call, publications)
    page = publications[begin : begin + limit]
    body: dict[str, Any] = {"data": [select(call, node_of(one), kind=kind, default=default) for one in page]}
    if page:
        cursors = {"before": _cursor(page[0]), "after": _cursor(page[-1])}
        body["paging"] = {"cursors": cursors}
        if begin + limit < len(publications):
            following = urlencode({**call.query, "after": cursors["after"]})
            body["paging"]["next"] = f"{world.public_url}{call.path}?{following}"
    return JSONResponse(body)


def graph_time(moment: datetime | None) -> str | None:
    """A time in the Graph API's own way: 2026-05-04T09:30:00+0000."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _begin(call: Call, publications: Sequence[Publication]) -> int:
    after = call.param("after")
    if not after:
        return 0
    try:
        wanted = base64.urlsafe_b64decode(after).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise bad_parameter("Invalid cursor.") from None
    return next((index + 1 for index, one in enumerate(publications) if one.id == wanted), len(publications))


def _cursor(publication: Publication) -> str:
    return base64.urlsafe_b64encode(publication.id.encode()).decode()
