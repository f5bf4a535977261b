from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.dist import is_distributed
from torch.nn.parallel import DistributedDataParallel

from mmseg_wsss.utils.launch import init_processes, leave_processes, one_line_errors

TASKS = Path('/proc/self/task')


def test_one_process_needs_no_group() -> None:
    init_processes('none')
    assert not is_distributed()
    leave_processes()


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
def test_a_group_is_left_and_its_threads_end(monkeypatch) -> None:
    host = dict(RANK='0', WORLD_SIZE='1', MASTER_ADDR='127.0.0.1', MASTER_PORT='0')
    for name, value in host.items():
        monkeypatch.setenv(name, value)
    init_processes('pytorch')
    assert is_distributed()
    holder = SimpleNamespace(model=DistributedDataParallel(torch.nn.Linear(1, 1)))
    holder.itself = holder  # as a Runner and its loops hold each other
    del holder
    leave_processes()
    assert not is_distributed()
    if TASKS.exists():
        names = [(task / 'comm').read_text() for task in TASKS.iterdir()]
        assert not [name for name in names if 'gloo' in name]


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
def test_without_a_gpu_only_torchrun_works() -> None:
    with pytest.raises(ValueError, match="got 'slurm'"):
        init_processes('slurm')


@pytest.mark.parametrize(
    ('error', 'line'),
    [(ValueError('lr'), 'error: lr'), (KeyError('a b'), 'error: a b')],
)
def test_errors_of_the_user_are_one_line(error: Exception, line: str) -> None:
    with pytest.raises(SystemExit, match=f'^{line}$'), one_line_errors(KeyError):
        raise error


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(KeyError, match='a'), one_line_errors():
        raise KeyError('a')
