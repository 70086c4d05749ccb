"""A post's status is a roll-up of its targets'."""

from hypothesis import given
from hypothesis import strategies as st

from services.domain.posts import STILL_TO_COME, PostStatus, TargetStatus, roll_up

STATUSES = st.lists(st.sampled_from(list(TargetStatus)), max_size=5)


@given(STATUSES)
def test_roll_up_depends_on_neither_order_nor_number(statuses: list[TargetStatus]) -> None:
    """What counts is which statuses occur."""
    assert roll_up(statuses) is roll_up(reversed(statuses)) is roll_up([*statuses, *statuses])


@given(st.sampled_from(list(TargetStatus)), st.integers(1, 4))
def test_roll_up_of_equal_targets_is_theirs(status: TargetStatus, count: int) -> None:
    """All equal: that."""
    assert roll_up([status] * count).value == status.value


@given(STATUSES)
def test_roll_up_is_partial_only_when_nothing_is_to_come(statuses: list[TargetStatus]) -> None:
    """PARTIALLY_PUBLISHED needs something out, something not, and nothing that still may."""
    partial = (
        TargetStatus.PUBLISHED in statuses
        and len(set(statuses)) > 1
        and not any(status in STILL_TO_COME for status in statuses)
    )
    assert (roll_up(statuses) is PostStatus.PARTIALLY_PUBLISHED) == partial


@given(STATUSES)
def test_publishing_wins_over_everything(statuses: list[TargetStatus]) -> None:
    """What happens right now is what a person wants to see."""
    assert roll_up([*statuses, TargetStatus.PUBLISHING]) is PostStatus.PUBLISHING


def test_a_post_without_targets_is_a_draft() -> None:
    """Nothing picked yet."""
    assert roll_up([]) is PostStatus.DRAFT
