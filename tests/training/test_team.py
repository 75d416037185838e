"""Threads that share those of the caller."""

import threading

import pytest
import torch

from evonas.device import cpu_threads
from evonas.training.team import Team


@pytest.fixture(autouse=True)
def four_threads():
    with cpu_threads(4):
        yield


@pytest.mark.parametrize(("most", "size", "share"), [(2, 2, 2), (3, 3, 1), (9, 4, 1)])
def test_each_member_has_its_share_of_the_threads(most, size, share):
    team = Team(most)
    assert (team.size, team.share) == (size, share)
    together = threading.Barrier(team.size)

    def threads(_):
        together.wait()
        images = torch.ones(4, 8, 32, 32)
        images.relu().sum()  # torch looks at a thread's number when it first computes
        return threading.get_ident(), torch.get_num_threads()

    told = team.map(threads, range(team.size))
    assert len({member for member, _ in told}) == team.size
    assert {number for _, number in told} == {share}
    team.end()


def test_the_caller_and_later_threads_keep_theirs():
    team = Team(2)
    team.map(lambda _: torch.ones(100_000).sum(), range(4))
    told = []
    later = threading.Thread(target=lambda: told.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert told == [4] and torch.get_num_threads() == 4
    for threads in (4, 3):
        torch.set_num_threads(threads)
        with team.lead():
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == threads
    team.end()
