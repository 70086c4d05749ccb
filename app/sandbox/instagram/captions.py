"""What Instagram allows in a caption."""

import re

from app.sandbox.graph.errors import instagram_error

CAPTION_LENGTH = 2200
MENTIONS = 20


def check_caption(caption: str, *, max_hashtags: int) -> None:
    """Raise 36004/2207010 for a caption that is too long or has too many hashtags or mentions."""
    if len(caption) > CAPTION_LENGTH:
        raise instagram_error(2207010, detail=f"It has {len(caption)} of {CAPTION_LENGTH} characters.")
    hashtags = len(re.findall(r"(?<!\w)#\w", caption))
    if hashtags > max_hashtags:
        raise instagram_error(2207010, detail=f"It has {hashtags} of {max_hashtags} hashtags.")
    mentions = len(re.findall(r"(?<!\w)@\w", caption))
    if mentions > MENTIONS:
        raise instagram_error(2207010, detail=f"It has {mentions} of {MENTIONS} mentions.")
