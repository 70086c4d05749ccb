"""What one setting may hold; each complaint says what would do instead."""

from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import AfterValidator, Field, SecretStr

from services.backends.redis_pools import check_url as check_redis_url

SHORTEST_SECRET = 32
"""Characters; what a person thinks up is guessed."""

_DATABASE_OPTIONS = {"host": "host", "port": "port", "ssl": "ssl", "sslmode": "ssl"}
"""What may follow the `?` of a PostgreSQL URL, and what our driver calls it."""


def _check_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a URL such as https://crier.example, without ? and #")
    return value.rstrip("/")


def _check_origins(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        parts = urlsplit(value)
        is_origin = parts.scheme in ("http", "https") and parts.hostname and value == f"{parts.scheme}://{parts.netloc}"
        if value != "*" and not is_origin:
            raise ValueError("must be origins such as https://app.example, without a path")
    return values


def _check_secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(f"must have at least {SHORTEST_SECRET} characters")
    return value


def _check_secrets(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        _check_secret(SecretStr(value))
    return values


def _check_jwks(value: str) -> str:
    if value.startswith(("http://", "https://")):
        return _check_url(value)
    if not Path(value.removeprefix("file://")).is_file():
        raise ValueError("must be an http or https URL, or a file that exists")
    return value


def _check_store(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("", "file", "s3") or (parts.scheme == "s3" and not parts.netloc):
        raise ValueError("must be a folder, or s3://bucket/prefix")
    return value


def _check_redis(value: SecretStr) -> SecretStr:
    check_redis_url(value.get_secret_value())
    return value


def _drive_by_asyncpg(value: SecretStr) -> SecretStr:
    """Any spelling that hosts of PostgreSQL hand out, as SQLAlchemy's asyncpg dialect takes it."""
    scheme, separator, rest = value.get_secret_value().partition("://")
    if not separator or scheme not in ("postgres", "postgresql", "postgresql+asyncpg"):
        raise ValueError("must begin with postgresql://")
    place, _, query = rest.partition("?")
    options = parse_qsl(query, keep_blank_values=True)
    unknown = [name for name, _ in options if name not in _DATABASE_OPTIONS]
    if unknown:
        raise ValueError(f"only {', '.join(_DATABASE_OPTIONS)} may follow the ?, not {unknown[0]}")
    known = urlencode([(_DATABASE_OPTIONS[name], option) for name, option in options], safe="/")
    return SecretStr(f"postgresql+asyncpg://{place}{'?' if known else ''}{known}")


Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Milliseconds = Annotated[int, Field(ge=1, le=2**31 - 1)]
ApiVersion = Annotated[str, Field(pattern=r"^v\d+(\.\d+)?$")]
WebUrl = Annotated[str, AfterValidator(_check_url)]
KeySetPlace = Annotated[str, AfterValidator(_check_jwks)]
MediaPlace = Annotated[str, AfterValidator(_check_store)]
Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_drive_by_asyncpg)]
RedisUrl = Annotated[SecretStr, AfterValidator(_check_redis)]
Secrets = Annotated[tuple[str, ...], AfterValidator(_check_secrets)]
Origins = Annotated[tuple[str, ...], AfterValidator(_check_origins)]
"""Several values in one variable, separated by commas."""
