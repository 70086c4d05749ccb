"""The product as the programme runs it: every part the product's own, every patience a twentieth of the usual.

What matters is how the times stand to one another, and that is as in production: a call's limit and the grace after it
outlast the platform's slow tail, and a lease outlasts both the call and its renewals.
"""

from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from random import random
from typing import Any

from app.container import Container
from app.worker import Duty
from services.domain.accounts import Platform
from services.domain.breakers import BreakerPolicy
from services.guards.circuit_breaker import CircuitBreakerService
from services.guards.rate_limiter import RateLimiterService
from services.providers.base import Provider
from services.providers.facebook import FacebookProvider
from services.providers.instagram import InstagramProvider
from services.providers.media_source import MediaSource
from services.providers.pacing import Pacing
from services.providers.youtube import YouTubeProvider
from services.publishing.clearing import Clearer
from services.publishing.endings import Endings
from services.publishing.retry import RetryPolicy

HURRY = 20
CALL = timedelta(seconds=1.5)
LEASE = timedelta(seconds=2.25)
SLOW_TAIL = timedelta(seconds=1.8)
"""So long after a request left may the platform still do what it asks for, whether or not anybody waits."""
WINDOW = timedelta(hours=1)

LOOKING = Pacing(first=timedelta(milliseconds=50), longest=timedelta(seconds=1), limit=40)
GRACE = Pacing(first=timedelta(milliseconds=100), longest=timedelta(milliseconds=400), limit=4)


class Windowed(Container):
    """The product, but for the length of the hour: sixty posts of one person do not have three."""

    window = WINDOW

    @cached_property
    def limits(self) -> RateLimiterService:
        """The product's, over a window of any length."""
        return RateLimiterService(
            database=self.backends.database,
            quotas=self.quotas,
            limits=self.settings.publication_limits,
            length=self.window,
        )


class SixSeconds(Windowed):
    """An hour for a test that somebody waits for."""

    window = timedelta(seconds=6)


class TwentySeconds(Windowed):
    """An hour for the long form."""

    window = timedelta(seconds=20)


class Hurried(Windowed):
    """The product with the times above; planted mistakes are subclasses of it."""

    @cached_property
    def breakers(self) -> CircuitBreakerService:
        """The product's; it rests for half a second, and a probe that died is replaced after another."""
        policy = BreakerPolicy(open_for=timedelta(seconds=0.5), probe_lease=timedelta(seconds=0.5))
        return CircuitBreakerService(gate=self.backends.gate, policy=policy, names=[p.breaker for p in Platform])

    @cached_property
    def providers(self) -> dict[Platform, Provider]:
        """The product's clients."""
        platforms, shared = self.platforms, self.shared
        media = MediaSource(http=self.backends.media_http)
        instagram, facebook, youtube = Platform.INSTAGRAM, Platform.FACEBOOK, Platform.YOUTUBE
        return {
            instagram: InstagramProvider(config=platforms[instagram], grace=GRACE, reading=LOOKING, **shared),
            facebook: FacebookProvider(config=platforms[facebook], grace=GRACE, **shared),
            youtube: YouTubeProvider(
                config=platforms[youtube],
                media=media,
                reading=LOOKING,
                piece_timeout=CALL,
                piece_bytes=1 << 18,
                **shared,
            ),
        }

    @property
    def shared(self) -> dict[str, Any]:
        """What all three clients are given."""
        return {"http": self.backends.http, "now": self.clock.now, "timeout": CALL, "processing": LOOKING}

    @cached_property
    def endings(self) -> Endings:
        """The product's; it tries again soon and often, and asks for half a minute."""
        retry = RetryPolicy(first=timedelta(milliseconds=200), longest=timedelta(seconds=1), most=60)
        return Endings(now=self.clock.now, random=random, retry=retry, patience=timedelta(seconds=30))

    @cached_property
    def clearer(self) -> Clearer:
        """The product's; what a worker held when it was killed is somebody else's soon."""
        clearer = super().clearer
        clearer.hold_for = 2 * CALL
        return clearer

    def duties(self) -> list[Duty]:
        """The product's, each as much more often."""
        return [replace(duty, every=max(duty.every / HURRY, timedelta(seconds=0.2))) for duty in super().duties()]
