"""Where a platform's API lives and as which app we call it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from services.domain.accounts import Platform


@dataclass(frozen=True, slots=True)
class Hosts:
    """The origins of one platform's API, without a trailing slash."""

    authorize: str
    """What a person opens in a browser to say yes."""
    token: str
    graph: str
    """Everything that is neither OAuth nor bytes."""
    upload: str
    site: str
    """Where people see what was published."""

    @classmethod
    def below(cls, base_url: str) -> Self:
        """All hosts under one prefix, with their real paths behind it: how a sandbox is addressed."""
        base = base_url.rstrip("/")
        return cls(authorize=base, token=base, graph=base, upload=base, site=base)


HOSTS: Mapping[Platform, Hosts] = {
    Platform.INSTAGRAM: Hosts(
        authorize="https://www.instagram.com",
        token="https://api.instagram.com",  # noqa: S106 — a host, no secret
        graph="https://graph.instagram.com",
        upload="https://rupload.facebook.com",
        site="https://www.instagram.com",
    ),
    Platform.FACEBOOK: Hosts(
        authorize="https://www.facebook.com",
        token="https://graph.facebook.com",  # noqa: S106 — a host, no secret
        graph="https://graph.facebook.com",
        upload="https://rupload.facebook.com",
        site="https://www.facebook.com",
    ),
    Platform.YOUTUBE: Hosts(
        authorize="https://accounts.google.com",
        token="https://oauth2.googleapis.com",  # noqa: S106 — a host, no secret
        graph="https://www.googleapis.com",
        upload="https://www.googleapis.com",
        site="https://www.youtube.com",
    ),
}
"""The platforms as they are, by their public documentation."""

VERSIONS: Mapping[Platform, str] = {
    Platform.INSTAGRAM: "v25.0",
    Platform.FACEBOOK: "v25.0",
    Platform.YOUTUBE: "v3",
}
"""What is called where nothing else is set. Meta retires a version after about two years."""


@dataclass(frozen=True, slots=True)
class PlatformConfig:
    """Our app at one platform, and that platform's addresses and API version."""

    client_id: str
    client_secret: str = field(repr=False)
    hosts: Hosts
    api_version: str

    @classmethod
    def of(
        cls,
        platform: Platform,
        *,
        client_id: str,
        client_secret: str,
        base_url: str | None = None,
        api_version: str | None = None,
    ) -> Self:
        """The platform's own hosts and version, except where told otherwise."""
        return cls(
            client_id=client_id,
            client_secret=client_secret,
            hosts=HOSTS[platform] if base_url is None else Hosts.below(base_url),
            api_version=api_version or VERSIONS[platform],
        )
