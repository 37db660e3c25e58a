"""Callers that wait together are committed together."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from memory_core.errors import Internal
from memory_core.group_commit import GroupCommit, Waiting

Group = list[Waiting[int, int]]


class Committer:
    """Answers with the square; holds the first group until it is let go."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.is_holding = threading.Event()
        self.may_go = threading.Event()

    def commit(self, group: Group) -> None:
        self.groups.append([waiting.request for waiting in group])
        if len(self.groups) == 1:
            self.is_holding.set()
            self.may_go.wait()
        for waiting in group:
            waiting.answer(waiting.request**2)


def in_threads(calls: list[Callable[[], Any]]) -> list[threading.Thread]:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    return threads


def submit_beside_a_held_group(group_max: int, requests: range) -> tuple[Committer, dict[int, int]]:
    committer, answers = Committer(), {}
    commits: GroupCommit[int, int] = GroupCommit(committer.commit, group_max)
    all_wait = threading.Semaphore(0)

    def submit(request: int) -> None:
        answers[request] = commits.submit(request)

    threads = in_threads([lambda: submit(0)])
    committer.is_holding.wait()
    threads += in_threads([lambda request=request: submit(request) for request in requests])  # type: ignore[misc]
    while len(commits._queue) < len(requests):
        all_wait.acquire(timeout=0.001)
    committer.may_go.set()
    for thread in threads:
        thread.join()
    return committer, answers


def test_a_lone_caller_is_committed_at_once() -> None:
    committer = Committer()
    committer.may_go.set()
    assert GroupCommit(committer.commit).submit(3) == 9


def test_whoever_comes_while_a_group_is_committed_shares_the_next_one() -> None:
    committer, answers = submit_beside_a_held_group(100, range(1, 9))
    assert committer.groups[0] == [0]
    assert sorted(committer.groups[1]) == list(range(1, 9))
    assert answers == {request: request**2 for request in range(9)}


def test_a_group_has_a_greatest_size_and_the_rest_follows_in_order() -> None:
    committer, answers = submit_beside_a_held_group(3, range(1, 9))
    assert [len(group) for group in committer.groups] == [1, 3, 3, 2]
    assert len(answers) == 9


def test_a_failed_commit_refuses_its_group_and_not_the_next_one() -> None:
    def commit(group: Group) -> None:
        if group[0].request < 0:
            raise ValueError("no")
        group[0].answer(1)

    commits: GroupCommit[int, int] = GroupCommit(commit)
    with pytest.raises(ValueError, match="no"):
        commits.submit(-1)
    assert commits.submit(1) == 1


def test_an_answer_that_was_given_before_a_failure_counts() -> None:
    def commit(group: Group) -> None:
        group[0].answer(1)
        raise ValueError("after the answer")

    assert GroupCommit(commit).submit(1) == 1


def test_a_caller_that_a_commit_forgot_is_told() -> None:
    commits: GroupCommit[int, int] = GroupCommit(lambda group: None)
    with pytest.raises(Internal):
        commits.submit(1)


def test_a_group_waits_for_as_many_as_came_together_last_time() -> None:
    committer = Committer()
    commits: GroupCommit[int, int] = GroupCommit(committer.commit, delay_s=60.0)
    threads = in_threads([lambda: commits.submit(0)])
    committer.is_holding.wait()
    threads += in_threads([lambda request=request: commits.submit(request) for request in (1, 2)])  # type: ignore[misc]
    while len(commits._queue) < 2:
        pass
    committer.may_go.set()
    for thread in threads:
        thread.join()
    threads = in_threads([lambda: commits.submit(3)])
    while not commits._queue:
        pass
    assert len(committer.groups) == 2
    threads += in_threads([lambda: commits.submit(4)])
    for thread in threads:
        thread.join()
    assert sorted(committer.groups[2]) == [3, 4]


def test_the_wait_for_company_is_bounded() -> None:
    committer, _ = submit_beside_a_held_group(100, range(1, 9))
    commits: GroupCommit[int, int] = GroupCommit(committer.commit, delay_s=0.001)
    commits._last_size = 8
    assert commits.submit(3) == 9
    assert commits._last_size == 1
