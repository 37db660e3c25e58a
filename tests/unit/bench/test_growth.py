"""What grows is told from where it was after the warm-up."""

from __future__ import annotations

from collections import Counter

from deployments.bench.growth import _call, _Seen


def test_growth_is_counted_from_the_first_sample_after_the_warm_up() -> None:
    seen = _Seen()
    seen.samples += [
        (10, Counter({"host": 100.0, "ingress": 50.0})),
        (20, Counter({"host": 130.0, "ingress": 50.0})),
        (30, Counter({"host": 132.0, "ingress": 49.0, "encoder": 3.0})),
    ]
    assert seen.grown(11) == Counter({"host": 2.0, "ingress": -1.0, "encoder": 3.0})
    assert seen.grown(5)["host"] == 32.0
    assert not seen.grown(31).total()


def test_a_third_of_the_requests_is_of_each_kind_and_texts_come_again() -> None:
    calls = [_call(number, 4) for number in range(24)]
    assert Counter(path.rpartition("/")[2] for path, _ in calls) == {"observe": 8, "infer": 8, "surprise": 8}
    assert len({str(body) for path, body in calls if path.endswith("observe")}) == 4
    assert calls[:12] == calls[12:]
