"""The environment, read once, as one frozen value; a bad value is an error that names it.

A `.env` file beside the process works too; what the environment says goes first.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Self

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from app.complaints import Complaint
from app.setting_types import (
    ApiVersion,
    Count,
    DatabaseUrl,
    KeySetPlace,
    MediaPlace,
    Milliseconds,
    Origins,
    Port,
    RedisUrl,
    Secret,
    Secrets,
    WebUrl,
)
from services.domain.accounts import Platform
from services.domain.breakers import BreakerPolicy


class Environment(StrEnum):
    """How far strangers are trusted, and how much a developer is shown."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class LogFormat(StrEnum):
    """How log lines are written."""

    JSON = "json"
    CONSOLE = "console"


class SettingsError(Complaint):
    """The environment holds a value that Crier cannot use; the message names it."""


class Settings(BaseModel):
    """Everything that can be set; names are the variables' own, in lower case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: Environment = Environment.DEVELOPMENT
    host: str = "127.0.0.1"
    port: Port = 8000
    sandbox_port: Port = 8001
    worker_port: Port | None = None
    data_dir: Path = Path(".crier")
    public_url: WebUrl | None = None
    secret_keys: Secrets = ()
    log_format: LogFormat | None = None

    database_url: DatabaseUrl | None = None
    database_reader_url: DatabaseUrl | None = None
    """A streaming replica, for pages that may be a second old."""
    redis_url: RedisUrl | None = None
    db_pool_min: Annotated[int, Field(ge=0)] = 5
    db_pool_max: Count = 20
    db_through_pgbouncer: bool = False

    rate_limit_instagram: Count = 25
    rate_limit_facebook: Count = 50
    rate_limit_youtube: Count = 10
    daily_limit_instagram: Count | None = None
    daily_limit_facebook: Count | None = None
    daily_limit_youtube_project: Count = 100
    trusted_documents: Path | None = None
    """A manifest of documents: where it is set, nothing else is run."""
    api_budget: Count = 50_000
    """Cost points that one viewer may spend per minute."""
    auth_failures: Count = 30
    """Wrong credentials per minute from one address, or for one key, before it has to wait."""

    request_timeout: Milliseconds = 30_000
    circuit_breaker_failure_threshold: Count = 5
    circuit_breaker_timeout: Milliseconds = 60_000
    cache_default_ttl: Count = 3_600
    shutdown_grace: Milliseconds = 20_000

    worker_concurrency: Count = 20
    publish_lease: Milliseconds = 45_000
    """Longer than a call to a platform may take (30 s) and what it may still do afterwards."""
    prepare_ahead: Annotated[int, Field(ge=0, le=12 * 3_600_000)] = 5 * 60_000
    """How long before its time a post's containers and uploads may begin; platforms keep them for a day."""
    late_spacing: Milliseconds = 15_000
    """How far apart an account's posts go out that an outage held up."""
    missed_after: Milliseconds = 6 * 3_600_000
    """What is overdue for longer waits for its person."""

    jwt_secret: Secret | None = None
    jwt_jwks_url: KeySetPlace | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None

    cors_origins: Origins = ()
    metrics_token: SecretStr | None = None
    otel_exporter_otlp_endpoint: str | None = None
    otel_exporter_otlp_traces_endpoint: str | None = None
    otel_service_name: str = "crier"
    otel_sdk_disabled: bool = False
    subscriptions_per_viewer: Count = 10
    """In each process: what it bounds is a process's memory. Counted together, they would end with Redis."""
    media_store: MediaPlace | None = None
    """Where uploads go: a folder, or an S3 URL such as s3://bucket/prefix. Default: DATA_DIR/media."""
    media_max_bytes: Annotated[int, Field(ge=1)] = 1 << 30

    instagram_client_id: str | None = None
    instagram_client_secret: SecretStr | None = None
    instagram_base_url: WebUrl | None = None
    instagram_api_version: ApiVersion | None = None
    facebook_client_id: str | None = None
    facebook_client_secret: SecretStr | None = None
    facebook_base_url: WebUrl | None = None
    facebook_api_version: ApiVersion | None = None
    youtube_client_id: str | None = None
    youtube_client_secret: SecretStr | None = None
    youtube_base_url: WebUrl | None = None
    youtube_api_version: ApiVersion | None = None

    @field_validator("secret_keys", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.db_pool_min > self.db_pool_max:
            raise ValueError("DB_POOL_MIN must not exceed DB_POOL_MAX")
        if self.environment is Environment.PRODUCTION and not self.secret_keys:
            raise ValueError("SECRET_KEYS is needed in production: it encrypts the platforms' tokens")
        self._check_jwt()
        for platform in Platform:
            credentials = [self.of_platform(platform, name) for name in ("client_id", "client_secret")]
            if credentials.count(None) == 1:
                raise ValueError(f"{platform}_CLIENT_ID and {platform}_CLIENT_SECRET go together: set both or neither")
        return self

    def _check_jwt(self) -> None:
        if self.jwt_secret is not None and self.jwt_jwks_url is not None:
            raise ValueError("set JWT_SECRET or JWT_JWKS_URL, not both")
        has_key = self.jwt_secret is not None or self.jwt_jwks_url is not None
        if {has_key, self.jwt_issuer is not None, self.jwt_audience is not None} == {True, False}:
            raise ValueError("JWTs need JWT_ISSUER and JWT_AUDIENCE and one of JWT_SECRET and JWT_JWKS_URL")

    @property
    def is_production(self) -> bool:
        """Whether strangers may reach this process."""
        return self.environment is Environment.PRODUCTION

    @property
    def external_url(self) -> str:
        """How clients and platforms reach the API, without a trailing slash."""
        return self.public_url or f"http://{_reachable(self.host)}:{self.port}"

    @property
    def sandbox_url(self) -> str:
        """Where the sandbox serves."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def publication_limits(self) -> dict[Platform, int]:
        """Publications that one person may make per hour."""
        return {
            Platform.INSTAGRAM: self.rate_limit_instagram,
            Platform.FACEBOOK: self.rate_limit_facebook,
            Platform.YOUTUBE: self.rate_limit_youtube,
        }

    @property
    def traces_endpoint(self) -> str | None:
        """Where traces go; None where nobody collects them."""
        if self.otel_sdk_disabled:
            return None
        if self.otel_exporter_otlp_traces_endpoint is not None:
            return self.otel_exporter_otlp_traces_endpoint
        base = self.otel_exporter_otlp_endpoint
        return None if base is None else f"{base.rstrip('/')}/v1/traces"

    @property
    def breaker_policy(self) -> BreakerPolicy:
        """When a platform's breaker opens, and for how long."""
        return BreakerPolicy(
            threshold=self.circuit_breaker_failure_threshold, open_for=milliseconds(self.circuit_breaker_timeout)
        )

    def of_platform(self, platform: Platform, name: str) -> str | None:
        """A platform's own setting, such as CLIENT_ID."""
        value = getattr(self, f"{platform.value.lower()}_{name}")
        return value.get_secret_value() if isinstance(value, SecretStr) else value


def read_settings() -> Settings:
    """The settings of this process. Raises `SettingsError` naming each variable that is wrong."""
    try:
        return Settings.model_validate(_named(dotenv_values(".env")) | _named(os.environ))
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_input=False, include_url=False, include_context=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{name}: {message}" if name else message)
        raise SettingsError("; ".join(lines)) from None


def _named(variables: Mapping[str, str | None]) -> dict[str, str]:
    """Those of ours that hold anything."""
    values = {variable.lower(): value for variable, value in variables.items() if value}
    return {name: values[name] for name in Settings.model_fields if name in values}


def _reachable(host: str) -> str:
    """A host to listen on as one to connect to: every address is this machine's own, and IPv6 stands in brackets."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return host if address.version == 4 else f"[{host}]"


def milliseconds(value: int) -> timedelta:
    """A setting in milliseconds as a span."""
    return timedelta(milliseconds=value)
