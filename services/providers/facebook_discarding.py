"""Taking away what was prepared on a Page and is not wanted any more: posts, videos, reels and photos that nobody sees.

Each object is asked first whether people see it after all; then it, and what is attached to it, stays.

What was made by a call whose answer was lost stays, too, where nobody sees it: none of a Page's lists (feed, published
and scheduled posts) shows it, and nobody but that answer knew its id. To delete what merely looks like it could take
what the Page's own people prepare there.
"""

from collections.abc import Mapping
from typing import Any

from services.domain.publishing import Checkpoint, Discarded, Rejected
from services.providers.facebook_status import VideoPhase, phase_of
from services.providers.failures import NotDone
from services.providers.graph import GraphClient
from services.providers.pacing import Pacing

OUT = "People see it: it was left alone."

_FIELDS = {"post": "id,is_published", "video": "id,published", "reel": "id,status"}
"""What tells whether people see an object, by the checkpoint's name for it."""


class Discarding:
    """Deletes unpublished objects, by a checkpoint of any of the flows."""

    def __init__(self, *, graph: GraphClient, grace: Pacing) -> None:
        self._graph = graph
        self._grace = grace

    async def discard(self, checkpoint: Checkpoint, *, token: str) -> Discarded | Rejected | None:
        """The object itself, then its photos: so nothing is ever seen in part."""
        names = [name for name in _FIELDS if name in checkpoint]
        if not names and not checkpoint.get("photos"):
            return None
        left = dict(checkpoint)
        for name in names:
            found = await self._graph.get(left[name], token=token, expects="id", fields=_FIELDS[name])
            if not isinstance(found, NotDone) and _is_seen(found):
                return Discarded(OUT)
            if isinstance(found, NotDone) and not found.is_missing:
                return found.rejected(left)
            if (refusal := await self._delete(left[name], left, token=token)) is not None:
                return refusal
            del left[name]
        for photo in checkpoint.get("photos", ()):
            if (refusal := await self._delete(photo, left, token=token)) is not None:
                return refusal
            left["photos"] = left["photos"][1:]
        return Discarded()

    async def _delete(self, object_id: str, checkpoint: Checkpoint, *, token: str) -> Rejected | None:
        answer = await self._graph.delete(object_id, token=token)
        if not isinstance(answer, NotDone):
            return None
        if not answer.is_missing:
            return answer.rejected(checkpoint)
        # Gone already, or so fresh that this read does not know of it yet.
        return None if self._grace.is_over(checkpoint) else answer.rejected(self._grace.pending(checkpoint).checkpoint)


def _is_seen(node: Mapping[str, Any]) -> bool:
    return bool(node.get("is_published") or node.get("published")) or phase_of(node) is VideoPhase.PUBLISHED
