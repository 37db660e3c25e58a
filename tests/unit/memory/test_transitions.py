"""Links between patterns, in tables of a fixed size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memory_core.patterns.transitions import LINKS, Transitions

SLOTS = 8
TARGETS = st.lists(st.tuples(st.integers(1, SLOTS - 1), st.sampled_from([1.0, 2.0, 0.5])), max_size=20)


def links_from(transitions: Transitions, slot: int) -> list[tuple[int, float]]:
    rows = (transitions.next_UL[slot].tolist(), transitions.next_count_UL[slot].tolist())
    return [(target, amount) for target, amount in zip(*rows, strict=True) if target >= 0]


@given(TARGETS)
def test_a_full_row_gives_up_its_weakest_link(told: list[tuple[int, float]]) -> None:
    transitions, expected = Transitions(SLOTS), dict[int, float]()
    for target, amount in told:
        transitions.link(0, target, amount)
        if target not in expected and len(expected) == LINKS:
            weakest = min(expected, key=lambda known: expected[known])
            expected = {target if known == weakest else known: count for known, count in expected.items()}
            expected[target] = 0.0
        expected[target] = expected.get(target, 0.0) + amount
    assert links_from(transitions, 0) == list(expected.items())
    for target, amount in told[-1:]:
        assert 0 in transitions.previous_UL[target]
        assert amount <= transitions.previous_count_UL[target].sum()


def test_a_session_goes_on_where_it_ended_and_others_do_not_meet_it() -> None:
    transitions = Transitions(SLOTS)
    transitions.follow("a", [0])
    transitions.follow("b", [1])
    transitions.follow("a", [2, 3])
    transitions.follow(None, [4, 5])
    transitions.follow(None, [6])
    assert {slot: links_from(transitions, slot) for slot in range(SLOTS) if links_from(transitions, slot)} == {
        0: [(2, 1.0)],
        2: [(3, 1.0)],
        4: [(5, 1.0)],
    }
    assert transitions.tails == {"b": 1, "a": 3}


def test_a_slot_does_not_follow_itself_and_a_forgotten_one_is_followed_by_nothing() -> None:
    transitions = Transitions(SLOTS)
    transitions.follow("a", [0, 0, 1])
    assert links_from(transitions, 0) == [(1, 1.0)]
    transitions.forget_slot(1)
    assert not links_from(transitions, 0) and not transitions.tails
    transitions.link(0, 3, 2.0)
    assert links_from(transitions, 0) == [(3, 2.0)]
