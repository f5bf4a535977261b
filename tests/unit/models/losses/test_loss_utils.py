"""Counts over ranks, and means of what is valid."""

import pytest
import torch
from helpers import run_processes

from mmseg_wsss.models.losses import mean_over_ranks
from mmseg_wsss.models.losses.rank_means import mean_of_valid


def counts_of_rank(rank):
    count = torch.tensor([[3, 0], [4, 0]][rank])
    mean = mean_over_ranks(count)
    return {'mean': mean, 'count': count, 'float': mean_over_ranks(count.double())}


def test_average_over_two_ranks():
    for rank, result in enumerate(run_processes(counts_of_rank)):
        assert result['mean'].tolist() == [3.5, 0.0]
        assert result['count'].tolist() == [[3, 0], [4, 0]][rank], 'changed in place'
        assert result['float'].dtype == torch.float64


def test_a_single_process_keeps_its_count():
    count = torch.tensor([2.0, 0.0])
    assert mean_over_ranks(count) is count
    assert mean_over_ranks(torch.tensor(7)).dtype == torch.float32


def test_means_of_groups_and_of_an_empty_one():
    values = torch.tensor([[1.0, 2.0], [4.0, 8.0]], requires_grad=True)
    groups = torch.tensor([[[1, 0], [0, 1]], [[0, 1], [0, 0]], [[0, 0], [0, 0]]]) > 0
    means = mean_of_valid(values, groups)
    assert means.tolist() == [4.5, 2.0, 0.0]
    means.sum().backward()
    assert values.grad.tolist() == [[0.5, 1.0], [0.0, 0.5]]


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_what_is_not_valid_may_be_anything(bad):
    values = torch.tensor([1.0, bad], requires_grad=True)
    mean = mean_of_valid(values, torch.tensor([True, False]))
    mean.backward()
    assert mean == 1
    assert values.grad.tolist() == [1.0, 0.0]
