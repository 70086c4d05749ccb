"""What there is besides GraphQL, in OpenAPI 3.1's words: health, files, the end of connecting an account, and metrics.

A plain value, written by hand: these endpoints are few and change rarely, and a test asks each of them for every answer
that stands here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from app.media import KEY_HEADER
from app.middleware import CORRELATION_HEADER
from services.backends.media_links import PREFIX
from services.domain.accounts import Platform
from services.domain.drafts import LONGEST_KEY
from services.domain.errors import ErrorCode
from services.domain.health import HealthStatus
from services.domain.ids import Kind
from services.domain.media_types import MediaType
from services.domain.posts import MediaKind

Json = dict[str, Any]

DESCRIPTION_URL = "/api/v1/openapi.json"

_JSON, _HTML = "application/json", "text/html; charset=utf-8"
_KEY: list[Json] = [{"apiKey": []}]
_METRICS_KEY: list[Json] = [{"metricsToken": []}]


def describe_api(version: str) -> Json:
    """The whole description; `version` is Crier's own."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Crier, besides GraphQL",
            "version": version,
            "summary": "Health, uploads, connecting accounts, and metrics.",
            "description": "Posts and accounts are asked for at `/graphql`; its contract is `schema/schema.graphql`.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [
            {"name": "health", "description": "For load balancers, orchestrators and people."},
            {"name": "media", "description": "Files for posts: people put them there, platforms fetch them."},
            {"name": "accounts", "description": "Where platforms send people back to."},
            {"name": "operations", "description": "For those who run Crier."},
        ],
        "paths": {
            "/api/v1/health": _path("get", _LIVE),
            "/api/v1/health/detailed": _path("get", _DETAILED),
            PREFIX: _path("post", _UPLOAD),
            PREFIX + "/{upload}/{name}": _path("get", _DOWNLOAD),
            "/oauth/{platform}/callback": _path("get", _CALLBACK),
            "/metrics": _path("get", _METRICS),
            DESCRIPTION_URL: _path("get", _SELF),
        },
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key, or a JWT."},
                "metricsToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`METRICS_TOKEN`, where it is set.",
                },
            },
        },
    }


def _closed(properties: Mapping[str, Json], optional: Sequence[str] = ()) -> Json:
    """An object with exactly these properties."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


def _named(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(description: str, schema: Json, media_type: str = _JSON) -> Json:
    return {
        "description": description,
        "headers": {
            CORRELATION_HEADER: {"description": "Finds the request in the logs.", "schema": {"type": "string"}}
        },
        "content": {media_type: {"schema": schema}},
    }


def _refusal(description: str) -> Json:
    return _answer(description, _named("Fault"), f"{_JSON}; charset=utf-8")


def _path(method: str, operation: Json) -> Json:
    """An operation at a path, with what any request may be refused for."""
    other = _refusal(
        "Refused for what is not this endpoint's own: the code says why, `retryable` whether to come again."
    )
    return {method: {**operation, "responses": {**operation["responses"], "default": other}}}


def _parameter(name: str, where: str, description: str, schema: Json, *, required: bool = True) -> Json:
    return {"name": name, "in": where, "required": required, "description": description, "schema": schema}


_TEXT, _COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
_STATUS = {"type": "string", "enum": [status.value for status in HealthStatus]}

_SCHEMAS: Json = {
    "Live": _closed({"status": _STATUS, "version": _TEXT}),
    "Report": _closed({"status": _STATUS, "version": _TEXT, "checks": {"type": "array", "items": _named("Check")}}),
    "Check": _closed(
        {
            "name": _TEXT,
            "status": _STATUS,
            "latencyMs": {"type": "number", "minimum": 0},
            "detail": {"type": ["string", "null"]},
        }
    ),
    "Upload": _closed(
        {
            "id": {
                "type": "string",
                "pattern": f"^{Kind.UPLOAD}_[0-9a-f]{{32}}$",
                "description": "Give it as `mediaId`.",
            },
            "kind": {"type": "string", "enum": [kind.value for kind in MediaKind]},
            "contentType": {"type": "string", "enum": [kind.value for kind in MediaType]},
            "url": {"type": "string", "format": "uri", "description": "Signed: whoever holds it may fetch the file."},
            "width": _COUNT,
            "height": _COUNT,
            "durationSeconds": {"type": ["number", "null"], "description": "Null for a picture."},
            "sizeBytes": _COUNT,
        }
    ),
    "Fault": {
        "description": "A refusal looks as it does in GraphQL.",
        **_closed({"errors": {"type": "array", "minItems": 1, "items": _named("Error")}}),
    },
    "Error": _closed(
        {
            "message": _TEXT,
            "extensions": _closed(
                {
                    "code": {"type": "string", "enum": [code.value for code in ErrorCode]},
                    "retryable": {"type": "boolean"},
                    "correlationId": _TEXT,
                    "retryAfter": {"type": "number", "description": "Seconds."},
                    "field": {"type": ["string", "null"]},
                },
                optional=("retryAfter", "field"),
            ),
        }
    ),
}

_LIVE: Json = {
    "operationId": "live",
    "tags": ["health"],
    "summary": "Whether this process runs and is not on its way out",
    "responses": {
        "200": _answer("It serves.", _named("Live")),
        "503": _answer("It is about to stop.", _named("Live")),
    },
}

_DETAILED: Json = {
    "operationId": "report",
    "tags": ["health"],
    "summary": "Every part, with status and latency",
    "responses": {
        "200": _answer("It serves, if perhaps degraded.", _named("Report")),
        "503": _answer("This process is unfit.", _named("Report")),
    },
}

_UPLOAD: Json = {
    "operationId": "upload",
    "tags": ["media"],
    "summary": "Put a picture or a video there",
    "description": "As the whole body, or as the one file of a form. What it is, Crier finds out by itself.",
    "security": _KEY,
    "parameters": [
        _parameter(
            KEY_HEADER,
            "header",
            f"Any 1 to {LONGEST_KEY} characters that name this wish: "
            "the same key and file again gives the same upload.",
            {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
            required=False,
        ),
    ],
    "requestBody": {
        "required": True,
        "content": {
            **{kind.value: {"schema": {"type": "string", "format": "binary"}} for kind in MediaType},
            "multipart/form-data": {"schema": _closed({"file": {"type": "string", "format": "binary"}})},
        },
    },
    "responses": {
        "201": _answer("It is there.", _named("Upload")),
        "400": _refusal("It is no file that a platform would take, or no file at all."),
        "401": _refusal("Nobody is known by this credential."),
        "403": _refusal("This credential may only read."),
        "408": _refusal("The body stopped arriving."),
        "413": _refusal("The file is too large: `MEDIA_MAX_BYTES`."),
    },
}

_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FILE = {"description": "The file.", "content": {kind.value: _BYTES for kind in MediaType}}

_DOWNLOAD: Json = {
    "operationId": "download",
    "tags": ["media"],
    "summary": "Fetch a file, or a part of it",
    "description": "The address comes whole from an upload or a post; its signature is the permission.",
    "parameters": [
        _parameter("upload", "path", "Which file.", _TEXT),
        _parameter("name", "path", "Its name.", _TEXT),
        _parameter("expires", "query", "Until when the address is good, in seconds since 1970.", _TEXT),
        _parameter("signature", "query", "Shows that the address is ours.", _TEXT),
        _parameter("Range", "header", "Which bytes, as `bytes=0-99`.", _TEXT, required=False),
        _parameter("If-None-Match", "header", "The `ETag` that is known already.", _TEXT, required=False),
    ],
    "responses": {
        "200": _FILE,
        "206": {**_FILE, "description": "The part of it that was asked for."},
        "304": {"description": "It has not changed; uploads never do."},
        "403": _refusal("The address is not ours, or its time is over."),
        "404": _refusal("The file is no longer kept."),
        "416": {"description": "The file has no such part."},
    },
}

_NOT_CONNECTED = _answer("Not connected: a no, or a link that is used, too old or not ours.", _TEXT, _HTML)

_CALLBACK: Json = {
    "operationId": "finishConnecting",
    "tags": ["accounts"],
    "summary": "Connect the accounts that a person said yes to",
    "description": "The end of what `connectAccount` began. A page for people, whatever became of it; JSON for "
    "who sends headers that a browser does not.",
    "parameters": [
        _parameter("platform", "path", "Whose answer this is.", {"enum": [one.value.lower() for one in Platform]}),
        _parameter("state", "query", "What `connectAccount` sent along; good once.", _TEXT),
        _parameter("code", "query", "What the platform gives for a yes; absent for a no.", _TEXT, required=False),
    ],
    "responses": {
        "200": _answer("Connected.", _TEXT, _HTML),
        "400": {**_NOT_CONNECTED, "content": {**_NOT_CONNECTED["content"], **_refusal("")["content"]}},
        "503": _answer("Not connected: the platform, or something of ours, cannot be reached.", _TEXT, _HTML),
    },
}

_METRICS: Json = {
    "operationId": "metrics",
    "tags": ["operations"],
    "summary": "What was counted, for Prometheus",
    "security": [{}, *_METRICS_KEY],
    "responses": {
        "200": {"description": "Prometheus's text format.", "content": {"text/plain": {"schema": _TEXT}}},
        "401": _refusal("`METRICS_TOKEN` is set and was not sent."),
    },
}

_SELF: Json = {
    "operationId": "describe",
    "tags": ["operations"],
    "summary": "This description",
    "responses": {"200": _answer("OpenAPI 3.1.", {"type": "object", "required": ["openapi", "info", "paths"]})},
}
