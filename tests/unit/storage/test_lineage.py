"""How much history two states share."""

from memory_core.ids import Seq
from memory_core.storage.lineage import NEW_LINEAGE, advanced, branched, common_observation_count, is_ancestor


def test_a_state_shares_all_of_its_ancestor() -> None:
    ancestor = advanced(NEW_LINEAGE, Seq(100), 100)
    state = advanced(ancestor, Seq(150), 150)
    assert common_observation_count(state, ancestor) == 100


def test_two_branches_share_what_lies_before_they_parted() -> None:
    ancestor = advanced(NEW_LINEAGE, Seq(100), 98)
    one = advanced(ancestor, Seq(150), 148)
    other = advanced(branched(ancestor, "b"), Seq(160), 158)
    assert common_observation_count(one, other) == common_observation_count(other, one) == 98


def test_restoring_a_version_of_an_abandoned_branch_counts_from_where_it_parted() -> None:
    first = advanced(NEW_LINEAGE, Seq(10), 10)
    abandoned = advanced(branched(first, "b"), Seq(20), 20)
    current = advanced(branched(advanced(first, Seq(15), 15), "c"), Seq(30), 30)
    assert common_observation_count(current, abandoned) == 10


def test_branches_of_one_point_with_equal_positions_are_told_apart() -> None:
    first = advanced(NEW_LINEAGE, Seq(10), 10)
    one, other = (advanced(branched(first, name), Seq(20), 20) for name in ("b", "c"))
    assert common_observation_count(one, other) == 10


def test_an_ancestor_lies_on_the_way_to_a_state() -> None:
    early, late = advanced(NEW_LINEAGE, Seq(3), 3), advanced(NEW_LINEAGE, Seq(9), 9)
    branch = advanced(branched(early, "b"), Seq(7), 7)
    assert is_ancestor(NEW_LINEAGE, branch)
    assert is_ancestor(early, late)
    assert is_ancestor(early, branch)
    assert is_ancestor(branch, branch)
    assert not is_ancestor(late, branch)
    assert not is_ancestor(branch, late)
    assert not is_ancestor(branch, advanced(branched(early, "c"), Seq(8), 8))
