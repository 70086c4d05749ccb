"""What each platform takes of a file, held against its documentation as a table of plain numbers."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.domain.accounts import Platform
from services.domain.media_limits import MEDIA_LIMITS, shape_of
from services.domain.media_types import MediaType
from services.domain.options import (
    FacebookKind,
    FacebookOptions,
    InstagramKind,
    InstagramOptions,
    TargetOptions,
    YouTubeOptions,
)
from services.domain.posts import MediaKind
from services.domain.uploads import Upload

IMAGE, VIDEO = MediaKind.IMAGE, MediaKind.VIDEO
Case = tuple[Platform, TargetOptions | None, tuple[MediaKind, ...], MediaKind]
Bounds = dict[str, tuple[float, float]]

DOCUMENTED: list[tuple[Case, Bounds]] = [
    ((Platform.INSTAGRAM, None, (IMAGE,), IMAGE), {"bytes": (0, 8_388_608), "aspect": (0.8, 1.91)}),
    ((Platform.INSTAGRAM, None, (IMAGE, VIDEO), IMAGE), {"bytes": (0, 8_388_608), "aspect": (0.8, 1.91)}),
    ((Platform.INSTAGRAM, None, (IMAGE, VIDEO), VIDEO), {"bytes": (0, 1_073_741_824), "seconds": (3, 900)}),
    (
        (Platform.INSTAGRAM, None, (VIDEO,), VIDEO),
        {"bytes": (0, 1_073_741_824), "seconds": (3, 900), "aspect": (0.01, 10)},
    ),
    (
        (Platform.INSTAGRAM, InstagramOptions(InstagramKind.REEL), (VIDEO,), VIDEO),
        {"bytes": (0, 1_073_741_824), "seconds": (3, 900), "aspect": (0.01, 10)},
    ),
    ((Platform.INSTAGRAM, InstagramOptions(InstagramKind.STORY), (IMAGE,), IMAGE), {"bytes": (0, 8_388_608)}),
    (
        (Platform.INSTAGRAM, InstagramOptions(InstagramKind.STORY), (VIDEO,), VIDEO),
        {"bytes": (0, 1_073_741_824), "seconds": (3, 60)},
    ),
    ((Platform.FACEBOOK, None, (IMAGE,) * 3, IMAGE), {"bytes": (0, 10_485_760)}),
    ((Platform.FACEBOOK, FacebookOptions(FacebookKind.POST), (VIDEO,), VIDEO), {}),
    (
        (Platform.FACEBOOK, FacebookOptions(FacebookKind.REEL), (VIDEO,), VIDEO),
        {"seconds": (3, 90), "aspect": (0.5625, 0.5625), "width": (540, 99_999), "height": (960, 99_999)},
    ),
    (
        (Platform.YOUTUBE, YouTubeOptions("Film"), (VIDEO,), VIDEO),
        {"bytes": (0, 256 * 1_073_741_824), "seconds": (0, 43_200)},
    ),
]
"""Each shape of a post and the bounds of its file, ends included."""

SLACK = {"bytes": 0.0, "seconds": 0.1, "aspect": 0.01, "width": 0.0, "height": 0.0}
NAMES = {
    "bytes": "has at most",
    "seconds": "lasts",
    "aspect": "times as wide",
    "width": "has at least",
    "height": "has at least",
}
STEPS = {"bytes": (-1, 0, 1), "seconds": (-0.2, -0.05, 0.05, 0.2), "aspect": (-0.02, -0.005, 0.005, 0.02)}
"""How near to an edge mistakes lie."""
SIDES = st.one_of(st.integers(1, 4_000), st.sampled_from([539, 540, 959, 960]))


def near(measure: str, bounds: Bounds) -> st.SearchStrategy[float]:
    """About at an edge of the measure, where it has any."""
    around = [edge + step for edge in bounds.get(measure, ()) for step in STEPS[measure] if edge + step > 0]
    return st.sampled_from(around) if around else st.nothing()


@st.composite
def files(draw: st.DrawFn, kind: MediaKind, bounds: Bounds) -> Upload:
    """Any file; every other measure of it lies near an edge."""
    width, height = draw(SIDES), draw(SIDES)
    if "aspect" in bounds and draw(st.booleans()):
        width = max(1, round(height * draw(near("aspect", bounds))))
    size = draw(st.integers(1, 300 * 2**30) | near("bytes", bounds))
    seconds = draw(st.floats(0.1, 50_000) | near("seconds", bounds))
    return an_upload(kind, size=int(size), width=width, height=height, seconds=seconds if kind is VIDEO else None)


def an_upload(kind: MediaKind, *, size: int, width: int, height: int, seconds: float | None) -> Upload:
    """A file of these measures."""
    file_type = MediaType.JPEG if kind is IMAGE else MediaType.MP4
    made_at = datetime(2030, 1, 1, tzinfo=UTC)
    return Upload(UUID(int=1), UUID(int=2), file_type, "x", size, width, height, seconds, made_at)


def faults_of(case: Case, upload: Upload) -> list[str]:
    """What is said against the upload."""
    shape = shape_of(*case)
    assert shape is not None
    return list(MEDIA_LIMITS[shape].find_faults(upload))


@pytest.mark.parametrize(("case", "bounds"), DOCUMENTED)
@given(data=st.data())
def test_what_the_documentation_does_not_take_is_refused_and_nothing_else(
    case: Case, bounds: Bounds, data: st.DataObject
) -> None:
    """For any file: one fault for each measure that is out of its bounds, none for one within."""
    upload = data.draw(files(case[3], bounds))
    measures: dict[str, float] = {
        "bytes": upload.size_bytes,
        "seconds": upload.duration_seconds or 0,
        "aspect": upload.width / upload.height,
        "width": upload.width,
        "height": upload.height,
    }
    expected = set()
    for measure, (lowest, highest) in bounds.items():
        found, slack = measures[measure], SLACK[measure]
        assume(not slack or all(abs(found - edge) > 1e-9 for edge in (lowest - slack, highest + slack)))
        if not lowest - slack <= found <= highest + slack:
            expected.add(NAMES[measure])

    faults = faults_of(case, upload)

    assert len(faults) == len(expected)
    assert all(any(words in fault for fault in faults) for words in expected)


@pytest.mark.parametrize("width", [100, 4_032])
def test_a_width_that_instagram_scales_itself_is_no_fault(width: int) -> None:
    """Most cameras' pictures are wider than 1440 pixels."""
    upload = an_upload(IMAGE, size=1_000, width=width, height=width, seconds=None)
    assert faults_of((Platform.INSTAGRAM, None, (IMAGE,), IMAGE), upload) == []


def test_a_fault_says_what_would_fit_and_what_came() -> None:
    """Whoever reads it knows what to change."""
    reel = (Platform.FACEBOOK, FacebookOptions(FacebookKind.REEL), (VIDEO,), VIDEO)
    upload = an_upload(VIDEO, size=5_000, width=640, height=360, seconds=2.5)
    assert faults_of(reel, upload) == [
        "lasts 3 to 90 seconds; this one lasts 2.5",
        "is 0.5625 times as wide as high; this one has 640 × 360 pixels",
        "has at least 540 × 960 pixels; this one has 640 × 360",
    ]


def test_what_a_platform_takes_no_such_medium_for_has_no_shape() -> None:
    """YouTube takes no pictures: another rule says so."""
    assert shape_of(Platform.YOUTUBE, None, (IMAGE,), IMAGE) is None
