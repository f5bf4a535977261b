import os
import time
from multiprocessing.util import Finalize

import pytest
import torch
import torch.distributed as dist
from helpers import run_processes
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException


def add_over_ranks(rank, factor):
    total = torch.tensor(float(rank + 1)) * factor
    dist.all_reduce(total)
    return {'rank': rank, 'size': dist.get_world_size(), 'total': total}


def report_environment(rank):
    return [os.environ[name] for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE')]


def fail_on_rank_1(rank):
    if rank == 1:
        raise KeyError('lost on rank 1')
    dist.barrier()


def die_on_rank_0(rank):
    if rank == 0:
        os._exit(7)
    dist.barrier()


def fail_on_rank_1_and_exit_late(rank):
    if rank == 1:
        Finalize(None, time.sleep, args=(5,), exitpriority=0)
    fail_on_rank_1(rank)


def sleep(rank):
    time.sleep(60)


def test_ranks_talk_to_each_other_and_answer_in_order():
    results = run_processes(add_over_ranks, 3, (10.0,))
    assert [result['rank'] for result in results] == [0, 1, 2]
    assert all(result['size'] == 3 for result in results)
    assert all(result['total'] == 60.0 for result in results)


def test_variables_of_torchrun_are_set():
    assert run_processes(report_environment) == [['0', '0', '2'], ['1', '1', '2']]


def test_one_process_is_a_group_too():
    assert run_processes(add_over_ranks, 1, (3.0,))[0]['total'] == 3.0


def test_an_error_of_one_rank_is_raised_though_the_other_waits():
    with pytest.raises(ProcessRaisedException, match=r'(?s)^rank 1:.*lost on rank 1'):
        run_processes(fail_on_rank_1)


def test_the_first_error_is_raised_though_the_other_process_ends_first():
    with pytest.raises(ProcessRaisedException, match='lost on rank 1'):
        run_processes(fail_on_rank_1_and_exit_late)


def test_a_death_of_one_rank_is_raised_though_the_other_waits():
    with pytest.raises(ProcessExitedException, match='exit code 7'):
        run_processes(die_on_rank_0)


def test_a_hang_ends_with_the_timeout():
    with pytest.raises(TimeoutError, match=r'2 processes .* 0\.5 s'):
        run_processes(sleep, timeout=0.5)


def test_no_process_at_all_is_refused():
    with pytest.raises(ValueError, match='at least 1, got 0'):
        run_processes(report_environment, 0)
