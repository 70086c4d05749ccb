"""What a platform takes of one file, by the shape of the post that it is for. Pure.

From the platforms' public documentation. Where sources differ, only what all of them refuse is refused here: the
platform has the last word. Instagram's widths of 320 to 1440 pixels are none of these limits, for it scales what is
wider or narrower itself. What is not measured (codecs, frame rates) is the platform's to judge, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.domain.accounts import Platform
from services.domain.drafts import instagram_kind
from services.domain.options import FacebookKind, FacebookOptions, InstagramKind, InstagramOptions, TargetOptions
from services.domain.posts import MediaKind
from services.domain.uploads import Upload

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_ASPECT_SLACK = 0.01
"""Whole pixels rarely make an exact ratio."""
_SECONDS_SLACK = 0.1
"""A video of a minute is seldom one to the frame."""


class Shape(StrEnum):
    """What a medium becomes; the value is how a person would call it."""

    INSTAGRAM_PICTURE = "A picture on Instagram"
    INSTAGRAM_STORY_PICTURE = "A picture in an Instagram story"
    INSTAGRAM_STORY_VIDEO = "A video in an Instagram story"
    INSTAGRAM_CAROUSEL_VIDEO = "A video in an Instagram carousel"
    INSTAGRAM_REEL = "An Instagram reel"
    FACEBOOK_PICTURE = "A picture on Facebook"
    FACEBOOK_VIDEO = "A video on Facebook"
    FACEBOOK_REEL = "A Facebook reel"
    YOUTUBE_VIDEO = "A video on YouTube"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLimits:
    """The bounds of one shape, each inclusive; None: nobody says."""

    most_bytes: int | None = None
    seconds: tuple[float, float] | None = None
    aspects: tuple[float, float] | None = None
    """Width over height."""
    least_pixels: tuple[int, int] | None = None
    """Width and height."""

    def find_faults(self, upload: Upload) -> Iterator[str]:
        """What of the upload is out of bounds: what would fit, and what this one is."""
        if self.most_bytes is not None and upload.size_bytes > self.most_bytes:
            yield f"has at most {_size(self.most_bytes)}; this one has {_size(upload.size_bytes)}"
        if self.seconds is not None and upload.duration_seconds is not None:
            shortest, longest = self.seconds
            if not shortest - _SECONDS_SLACK <= upload.duration_seconds <= longest + _SECONDS_SLACK:
                yield f"lasts {shortest:g} to {longest:g} seconds; this one lasts {upload.duration_seconds:.4g}"
        if self.aspects is not None:
            lowest, highest = self.aspects
            if not lowest - _ASPECT_SLACK <= upload.width / upload.height <= highest + _ASPECT_SLACK:
                wanted = f"{lowest:.4g}" if lowest == highest else f"{lowest:g} to {highest:g}"
                yield f"is {wanted} times as wide as high; this one has {upload.width} × {upload.height} pixels"
        if self.least_pixels is not None:
            width, height = self.least_pixels
            if upload.width < width or upload.height < height:
                least, found = f"{width} × {height}", f"{upload.width} × {upload.height}"
                yield f"has at least {least} pixels; this one has {found}"


MEDIA_LIMITS: Mapping[Shape, MediaLimits] = {
    Shape.INSTAGRAM_PICTURE: MediaLimits(most_bytes=8 * MIB, aspects=(4 / 5, 1.91)),
    Shape.INSTAGRAM_STORY_PICTURE: MediaLimits(most_bytes=8 * MIB),
    Shape.INSTAGRAM_STORY_VIDEO: MediaLimits(most_bytes=GIB, seconds=(3, 60)),
    Shape.INSTAGRAM_CAROUSEL_VIDEO: MediaLimits(most_bytes=GIB, seconds=(3, 15 * 60)),
    Shape.INSTAGRAM_REEL: MediaLimits(most_bytes=GIB, seconds=(3, 15 * 60), aspects=(0.01, 10)),
    Shape.FACEBOOK_PICTURE: MediaLimits(most_bytes=10 * MIB),
    Shape.FACEBOOK_VIDEO: MediaLimits(),
    Shape.FACEBOOK_REEL: MediaLimits(seconds=(3, 90), aspects=(9 / 16, 9 / 16), least_pixels=(540, 960)),
    Shape.YOUTUBE_VIDEO: MediaLimits(most_bytes=256 * GIB, seconds=(0, 12 * 3600)),
}


def shape_of(
    platform: Platform, options: TargetOptions | None, kinds: Sequence[MediaKind], kind: MediaKind
) -> Shape | None:
    """What a medium of this kind becomes among others of `kinds`; None where the platform takes no such medium."""
    is_video = kind is MediaKind.VIDEO
    match platform:
        case Platform.INSTAGRAM:
            chosen = options if isinstance(options, InstagramOptions) else None
            return _on_instagram(instagram_kind(chosen, kinds), is_video=is_video)
        case Platform.FACEBOOK if not is_video:
            return Shape.FACEBOOK_PICTURE
        case Platform.FACEBOOK:
            is_reel = isinstance(options, FacebookOptions) and options.kind is FacebookKind.REEL
            return Shape.FACEBOOK_REEL if is_reel else Shape.FACEBOOK_VIDEO
        case Platform.YOUTUBE:
            return Shape.YOUTUBE_VIDEO if is_video else None


def _on_instagram(kind: InstagramKind, *, is_video: bool) -> Shape:
    match kind:
        case InstagramKind.STORY:
            return Shape.INSTAGRAM_STORY_VIDEO if is_video else Shape.INSTAGRAM_STORY_PICTURE
        case InstagramKind.CAROUSEL if is_video:
            return Shape.INSTAGRAM_CAROUSEL_VIDEO
    return Shape.INSTAGRAM_REEL if is_video else Shape.INSTAGRAM_PICTURE


def _size(count: int) -> str:
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if count >= unit:
            return f"{count / unit:.4g} {name}"
    return f"{count} bytes"
