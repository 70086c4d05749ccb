"""Publishing to Facebook Pages: what a delivery holds decides which of three ways it goes."""

from collections.abc import Callable
from datetime import datetime, timedelta

import httpx

from services.domain.accounts import Platform
from services.domain.options import FacebookKind, FacebookOptions
from services.domain.posts import MediaKind
from services.domain.publishing import Checkpoint, Delivery, Discarded, Finding, Rejected, Step, StepOutcome
from services.providers.config import PlatformConfig
from services.providers.facebook_discarding import Discarding
from services.providers.facebook_posts import PostFlow
from services.providers.facebook_reels import ReelFlow
from services.providers.facebook_rules import FACEBOOK_RULES
from services.providers.facebook_videos import VideoFlow
from services.providers.graph import GraphClient
from services.providers.pacing import GRACE, PROCESSING, Pacing
from services.providers.wire import CALL_TIMEOUT, Wire


class FacebookProvider:
    """Publishes text, links, pictures, videos and reels with a Page's own token."""

    platform = Platform.FACEBOOK
    forgets = False

    def __init__(
        self,
        *,
        http: httpx.AsyncClient,
        config: PlatformConfig,
        now: Callable[[], datetime],
        timeout: timedelta = CALL_TIMEOUT,
        processing: Pacing = PROCESSING,
        grace: Pacing = GRACE,
    ) -> None:
        hosts, version = config.hosts, config.api_version
        graph = GraphClient(
            wire=Wire(http=http, timeout=timeout), root=f"{hosts.graph}/{version}", rules=FACEBOOK_RULES, now=now
        )
        self._discarding = Discarding(graph=graph, grace=grace)
        self._posts = PostFlow(graph=graph, now=now, grace=grace)
        self._videos = VideoFlow(graph=graph, site=hosts.site, now=now, processing=processing, grace=grace)
        self._reels = ReelFlow(
            graph=graph,
            upload_root=f"{hosts.upload}/video-upload/{version}",
            site=hosts.site,
            now=now,
            processing=processing,
            grace=grace,
        )

    def next_step(self, delivery: Delivery) -> Step:
        """What comes next, by the checkpoint."""
        return self._flow(delivery).next_step(delivery)

    async def perform(self, delivery: Delivery) -> StepOutcome:
        """Do the next step."""
        return await self._flow(delivery).perform(delivery)

    async def find_out(self, delivery: Delivery) -> Finding:
        """Ask the stored id what became of it."""
        return await self._flow(delivery).find_out(delivery)

    async def discard(self, checkpoint: Checkpoint, *, token: str) -> Discarded | Rejected | None:
        """Delete what was never published."""
        return await self._discarding.discard(checkpoint, token=token)

    def _flow(self, delivery: Delivery) -> PostFlow | VideoFlow | ReelFlow:
        if all(medium.kind is MediaKind.IMAGE for medium in delivery.media):
            return self._posts
        is_reel = isinstance(delivery.options, FacebookOptions) and delivery.options.kind is FacebookKind.REEL
        return self._reels if is_reel else self._videos
