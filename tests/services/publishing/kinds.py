"""Every kind of post, and the ways in which a worker can die over it."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.domain.accounts import Account, Platform
from services.domain.drafts import Variant
from services.domain.options import FacebookKind, FacebookOptions, InstagramKind, InstagramOptions, TargetOptions
from services.domain.posts import PostState
from services.domain.publishing import Checkpoint, Delivery, Discarded, Finding, Rejected, Step, StepOutcome
from services.domain.viewers import Viewer
from services.providers.base import Provider
from tests.rig import Rig


@dataclass(frozen=True)
class Kind:
    """One kind of post; `steps` are those that a smooth run writes into its ledger, repeated looks left out."""

    platform: Platform
    steps: str
    sample: str | None = None
    options: TargetOptions | None = None


CONTAINER = "create_container poll_container publish_container"
KINDS: Mapping[str, Kind] = {
    "image": Kind(Platform.INSTAGRAM, CONTAINER, "sunrise.jpg"),
    "reel": Kind(Platform.INSTAGRAM, CONTAINER, "clip.mp4"),
    "story": Kind(Platform.INSTAGRAM, CONTAINER, "dusk.jpg", InstagramOptions(InstagramKind.STORY)),
    "carousel": Kind(
        Platform.INSTAGRAM, f"create_child create_child poll_children {CONTAINER}", "sunrise.jpg dusk.jpg"
    ),
    "text": Kind(Platform.FACEBOOK, "create_post publish_post"),
    "photos": Kind(Platform.FACEBOOK, "upload_photo upload_photo create_post publish_post", "ocean.jpg night.jpg"),
    "video": Kind(Platform.FACEBOOK, "create_video poll_video publish_video", "clip.mp4"),
    "facebook reel": Kind(
        Platform.FACEBOOK,
        "start_reel upload_reel publish_reel poll_reel",
        "clip.mp4",
        FacebookOptions(FacebookKind.REEL),
    ),
    "youtube": Kind(Platform.YOUTUBE, "start_upload finish_upload check_processing", "clip.mp4"),
}


async def a_due_post(rig: Rig, name: str, *, caption: str = "Good morning") -> tuple[Viewer, Account, PostState]:
    """A post of one kind by somebody new, whose time has come."""
    kind = KINDS[name]
    viewer = await rig.add_user()
    account = await rig.add_account(viewer, kind.platform)
    variants = () if kind.options is None else (Variant(account.id, options=kind.options),)
    post = await rig.schedule_due(viewer, account, caption=caption, sample=kind.sample, variants=variants)
    return viewer, account, post


class Died(BaseException):
    """The worker is gone: nothing of it runs any more, no clean-up either."""


class Mortal:
    """A real client whose process dies at its n-th call (the first is 1), before or after the platform did it."""

    def __init__(self, provider: Provider, *, at: int, is_done: bool) -> None:
        self.platform = provider.platform
        self.forgets = provider.forgets
        self._provider = provider
        self._left = at
        self._is_done = is_done

    def next_step(self, delivery: Delivery) -> Step:
        """As ever."""
        return self._provider.next_step(delivery)

    async def perform(self, delivery: Delivery) -> StepOutcome:
        """Do it, and perhaps die of it."""
        self._die_if(not self._is_done)
        outcome = await self._provider.perform(delivery)
        self._die_if(self._is_done)
        return outcome

    async def discard(self, checkpoint: Checkpoint, *, token: str) -> Discarded | Rejected | None:
        """As ever."""
        return await self._provider.discard(checkpoint, token=token)

    async def find_out(self, delivery: Delivery) -> Finding:
        """Ask, and perhaps die of it."""
        self._die_if(not self._is_done)
        outcome = await self._provider.find_out(delivery)
        self._die_if(self._is_done)
        return outcome

    def _die_if(self, is_now: bool) -> None:
        if is_now:
            self._left -= 1
            if self._left == 0:
                raise Died
