"""Which files Crier takes, and which platform takes them."""

import pytest

from services.domain.accounts import Platform
from services.domain.media_types import MediaType, recognize
from services.domain.posts import MediaKind


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"\xff\xd8\xff\xe1", MediaType.JPEG),
        (b"\x89PNG\r\n\x1a\n", MediaType.PNG),
        (b"\x00\x00\x00\x20ftypmp42", MediaType.MP4),
        (b"\x00\x00\x00\x20ftypiso6", MediaType.MP4),
        (b"\x00\x00\x00\x20ftypM4V ", MediaType.MP4),
        (b"\x00\x00\x00\x20ftypqt  ", MediaType.QUICKTIME),
        (b"\x00\x00\x00\x08wide\x00\x00", MediaType.QUICKTIME),
        (b"\x00\x00\x00\x20ftypheic", None),
        (b"\x00\x00\x00\x20ftypavif", None),
        (b"\x00\x00\x00\x20ftypM4A ", None),
        (b"\x1aE\xdf\xa3", None),
        (b"", None),
    ],
)
def test_recognize_goes_by_the_first_bytes(head: bytes, found: MediaType | None) -> None:
    """Names and headers say nothing here."""
    assert recognize(head) is found


@pytest.mark.parametrize("type_", MediaType)
def test_every_type_is_taken_by_some_platform(type_: MediaType) -> None:
    """What nobody publishes is not worth storing; videos go everywhere, PNG to Facebook alone."""
    takers = {platform for platform in Platform if type_.is_taken_by(platform)}

    assert takers
    if type_.kind is MediaKind.VIDEO:
        assert takers == set(Platform)
    if type_ is MediaType.PNG:
        assert takers == {Platform.FACEBOOK}
