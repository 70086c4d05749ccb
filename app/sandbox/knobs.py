"""What the control API can turn: the numbers that real platforms keep to themselves and change without notice."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

DAILY_POSTS = 50
"""Instagram's own posts per rolling 24 h, where nothing else is set; documents say 25, 50 and 100."""

Count = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Polls(_Strict):
    """How many times processing answers "not yet" before it is done, per kind of object."""

    image: Count = 0
    carousel: Count = 0
    reel: Count = 2
    story: Count = 0
    carousel_video: Count = 1
    facebook_video: Count = 2
    facebook_reel: Count = 2
    youtube_video: Count = 2


class Usage(_Strict):
    """A Graph usage header, in percent of the limit; at 100 calls are refused."""

    call_count: Count = 3
    total_time: Count = 2
    total_cputime: Count = 2

    @property
    def is_spent(self) -> bool:
        """Whether any share has reached its limit."""
        return max(self.call_count, self.total_time, self.total_cputime) >= 100


class BusinessUsage(Usage):
    """`X-Business-Use-Case-Usage`, which also says when calls are let in again, in minutes."""

    estimated_time_to_regain_access: Count = 0


class Knobs(_Strict):
    """Everything that can be turned, at its usual value."""

    graph_versions: list[str] = ["v25.0"]
    polls: Polls = Polls()
    app_usage: Usage = Usage()
    business_usage: BusinessUsage = BusinessUsage()

    read_lag: Count = 0
    """Reads of a fresh object that still answer as if the write had not been."""
    container_lag: Count = 0
    """Reads of an Instagram container that still say FINISHED after it was published."""

    instagram_posts_per_day: Count = DAILY_POSTS
    instagram_hashtags: Count = 30
    instagram_token_in_data: bool = False
    """Whether the code exchange answers inside `data[0]`, as newer documents show, or flat."""

    facebook_reels_per_day: Count = 30

    youtube_inserts_per_day: Count = 100
    youtube_units_per_day: Count = 10_000
    youtube_uploads_per_channel: Count | None = None
    """Uploads per channel in 24 h; None for no limit."""
    youtube_forces_private: bool = False
    """As for projects that Google has not audited."""
    youtube_rejects_duplicates: bool = False
    """Whether an identical file is rejected; off, so that what a client sends twice is seen twice."""

    def turned(self, changes: Mapping[str, Any]) -> "Knobs":
        """These knobs with some changed; raises pydantic's ValidationError for what does not exist or does not fit."""
        whole = self.model_dump()
        for name, value in changes.items():
            known = whole.get(name)
            whole[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
        return Knobs.model_validate(whole)
