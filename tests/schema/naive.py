"""The third opinion: every field answered from plain rows in memory, one parent at a time, by the simplest code that
could be right. It shares nothing with either road but the schema's text and the form of ids and cursors.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from graphql import GraphQLResolveInfo, GraphQLSchema, execute_sync, parse

from services.domain.ids import Kind, decode_id, encode_id
from services.domain.pages import Place
from services.domain.viewers import Role, Viewer
from services.models import ACCOUNTS, ATTEMPTS, MEDIA, POSTS, TARGETS
from tests.graphql_api import LIMITS

Row = Mapping[str, Any]
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
KINDS = {
    "Post": (Kind.POST, POSTS),
    "PostTarget": (Kind.TARGET, TARGETS),
    "Account": (Kind.ACCOUNT, ACCOUNTS),
    "Media": (Kind.MEDIA, MEDIA),
    "Attempt": (Kind.ATTEMPT, ATTEMPTS),
}
RENAMED = {"instagramKind": "kind", "facebookKind": "kind"}


@dataclass(frozen=True)
class Thing:
    """A row as an object of a type."""

    of: str
    row: Row


class Naive:
    """Answers documents over these rows as if there were nobody else."""

    def __init__(self, schema: GraphQLSchema, rows: Mapping[Any, list[dict[str, Any]]], people: Iterable[Viewer]):
        self._schema = schema
        self._rows = {of: rows[table] for of, (_, table) in KINDS.items()}
        self._users = {viewer.user.id: vars_of(viewer) for viewer in people}
        self._posts = {row["id"]: row for row in rows[POSTS]}
        self._targets = {row["id"]: row for row in rows[TARGETS]}

    def answer(self, document: str, viewer: Viewer) -> Any:
        """The data."""
        result = execute_sync(
            self._schema,
            parse(document),
            context_value=viewer,
            field_resolver=self._resolve,
            type_resolver=lambda thing, *_: thing.of,
        )
        assert not result.errors, result.errors
        return result.data

    def _resolve(self, source: Any, info: GraphQLResolveInfo[Viewer], **given: Any) -> Any:
        if source is None:
            return self._root(info.field_name, info.context, given)
        if isinstance(source, dict):
            return source[info.field_name]
        return self._field(source, info.field_name, given)

    def _root(self, name: str, viewer: Viewer, given: Mapping[str, Any]) -> Any:
        if name == "viewer":
            return Thing("User", self._users[viewer.user.id])
        if name in ("posts", "accounts"):
            named = (given.get("filter") or {}).get("userId")
            decoded = None if named is None else decode_id(named)
            owner = viewer.user.id if named is None else decoded[1] if decoded else None
            of = "Post" if name == "posts" else "Account"
            return self._list(of, [row for row in self._rows[of] if row["user_id"] == owner], given)
        if name == "nodes":
            return [self._find(text, viewer, None) for text in given["ids"]]
        return self._find(given["id"], viewer, {"post": "Post", "account": "Account"}.get(name))

    def _find(self, text: str, viewer: Viewer, only: str | None) -> Thing | None:
        decoded = decode_id(text)
        if decoded is None:
            return None
        kind, key = decoded
        candidates = [Thing("User", self._users[key])] if kind is Kind.USER and key in self._users else []
        for of in (of for of, (named, _) in KINDS.items() if named is kind):
            candidates += [Thing(of, row) for row in self._rows[of] if row["id"] == key]
        for thing in candidates:
            is_shown = viewer.user.role is Role.ADMIN or self._owner(thing) == viewer.user.id
            if is_shown and only in (None, thing.of):
                return thing
        return None

    def _owner(self, thing: Thing) -> UUID:
        row = thing.row
        if thing.of == "Media":
            row = self._posts[row["post_id"]]
        if thing.of == "Attempt":
            row = self._targets[row["target_id"]]
        owner: UUID = row["id"] if thing.of == "User" else row["user_id"]
        return owner

    def _field(self, thing: Thing, name: str, given: Mapping[str, Any]) -> Any:
        row, own = thing.row, thing.row.get("id")
        relations: dict[tuple[str, str], Callable[[], Any]] = {
            ("Post", "author"): lambda: Thing("User", self._users[row["user_id"]]),
            ("Post", "targets"): lambda: self._children("PostTarget", "post_id", own, "position"),
            ("Post", "media"): lambda: self._children("Media", "post_id", own, "position"),
            ("PostTarget", "account"): lambda: self._children("Account", "id", row["account_id"], "id")[0],
            ("PostTarget", "attempts"): lambda: self._list(
                "Attempt", [child for child in self._rows["Attempt"] if child["target_id"] == own], given
            ),
            ("PostTarget", "waitingFor"): lambda: part(row, "waiting", ("code", "message", "until")),
            ("PostTarget", "lastError"): lambda: part(row, "error", ("code", "message", "retryable")),
            ("PostTarget", "options"): lambda: options(row),
            ("Account", "posts"): lambda: self._list("Post", self._posts_of(own), given),
            ("Account", "rateLimit"): lambda: unused_limit(row),
            ("Account", "circuitBreaker"): lambda: closed_breaker(row),
        }
        if name == "id":
            return encode_id(Kind.USER if thing.of == "User" else KINDS[thing.of][0], row["id"])
        if (thing.of, name) in relations:
            return relations[thing.of, name]()
        return shown(row[RENAMED.get(name, snake_case(name))])

    def _children(self, of: str, by: str, key: Any, order: str) -> list[Thing]:
        found = [row for row in self._rows[of] if row[by] == key]
        return [Thing(of, row) for row in sorted(found, key=lambda row: row[order])]

    def _posts_of(self, account: Any) -> list[Row]:
        wanted = {target["post_id"] for target in self._rows["PostTarget"] if target["account_id"] == account}
        return [row for row in self._rows["Post"] if row["id"] in wanted]

    def _list(self, of: str, rows: list[Any], given: Mapping[str, Any]) -> dict[str, Any]:
        wanted = given.get("filter") or {}
        rows = [row for row in rows if self._is_wanted(of, row, wanted)]
        return connect(of, rows, given)

    def _is_wanted(self, of: str, row: Row, wanted: Mapping[str, Any]) -> bool:
        targets = [target for target in self._rows["PostTarget"] if of == "Post" and target["post_id"] == row["id"]]
        on_platforms, at = targets if of == "Post" else [row], row.get("scheduled_at")
        checks: dict[str, Callable[[Any], bool]] = {
            "userId": lambda _: True,
            "statuses": lambda allowed: row["status"] in allowed,
            "platforms": lambda allowed: any(one["platform"] in allowed for one in on_platforms),
            "accountIds": lambda ids: any(encode_id(Kind.ACCOUNT, one["account_id"]) in ids for one in targets),
            "scheduledFrom": lambda text: at is not None and at >= datetime.fromisoformat(text),
            "scheduledTo": lambda text: at is not None and at < datetime.fromisoformat(text),
            "search": lambda text: text.lower() in row["caption"].lower(),
        }
        return all(checks[name](value) for name, value in wanted.items() if value is not None)


def connect(of: str, rows: list[Row], given: Mapping[str, Any]) -> dict[str, Any]:
    """All rows of a list, put in order, then cut as Relay says."""
    order = given.get("orderBy", "")

    def place(row: Row) -> Place:
        if of != "Post":
            return Place(row["id"])
        return Place(row["id"], row["created_at"] if order.startswith("CREATED") else row["scheduled_at"] or NEVER)

    def rank(place: Place) -> tuple[datetime | None, UUID]:
        return (place.at if of == "Post" else None), place.id

    is_down = order.endswith("DESC")
    ordered = sorted(rows, key=lambda row: rank(place(row)), reverse=is_down)
    for name in ("after", "before"):
        if given.get(name) is not None:
            edge = Place.from_cursor(given[name])
            assert edge is not None
            beyond = operator.gt if (name == "after") is not is_down else operator.lt
            ordered = [row for row in ordered if beyond(rank(place(row)), rank(edge))]
    size = next((given[name] for name in ("first", "last") if given.get(name) is not None), 20)
    is_backward = given.get("last") is not None
    page = ordered[max(0, len(ordered) - size) :] if is_backward else ordered[:size]
    has_more = len(ordered) > size
    cursors = [place(row).to_cursor() for row in page]
    nodes = [Thing(of, row) for row in page]
    return {
        "nodes": nodes,
        "edges": [{"node": node, "cursor": cursor} for node, cursor in zip(nodes, cursors, strict=True)],
        "totalCount": len(rows),
        "pageInfo": {
            "hasNextPage": given.get("before") is not None if is_backward else has_more,
            "hasPreviousPage": has_more if is_backward else given.get("after") is not None,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def part(row: Row, prefix: str, names: tuple[str, ...]) -> dict[str, Any] | None:
    """What a target waits for, or failed of."""
    if row[f"{prefix}_code"] is None:
        return None
    instead = {"message": "", "retryable": False}
    found = {name: shown(row[f"{prefix}_{name}"]) for name in names}
    return {name: instead.get(name) if value is None else value for name, value in found.items()}


def options(row: Row) -> Thing | None:
    """A target's options as the type of its platform."""
    of = {"INSTAGRAM": "InstagramOptions", "FACEBOOK": "FacebookOptions", "YOUTUBE": "YouTubeOptions"}
    return None if row["options"] is None else Thing(of[row["platform"]], row["options"])


def unused_limit(row: Row) -> dict[str, Any]:
    """The quota of somebody who has published nothing."""
    limit = next(limit for platform, limit in LIMITS.items() if platform == row["platform"])
    key = f"user:{row['user_id']}"
    hour = {"key": key, "platform": row["platform"], "limit": limit, "used": 0, "remaining": limit}
    return {**hour, "resetAt": None, "windowSeconds": 3_600}


def closed_breaker(row: Row) -> dict[str, Any]:
    """The breaker of a platform that nobody has called."""
    calm = {"state": "CLOSED", "failures": 0, "threshold": 5, "openedAt": None, "nextProbeAt": None, "forcedBy": None}
    return {**calm, "name": f"{row['platform'].lower()}-api", "lastTransitions": [], "isStale": False}


def shown(value: Any) -> Any:
    """A column's value as JSON says it."""
    if isinstance(value, datetime):
        return f"{value.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
    return value


def snake_case(name: str) -> str:
    """A field's column."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def vars_of(viewer: Viewer) -> Row:
    """A user's row."""
    return {"id": viewer.user.id, "name": viewer.user.name, "role": viewer.user.role.value}
