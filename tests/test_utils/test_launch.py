import pytest
import torch
from mmengine.dist import is_distributed

from mmseg_wsss.utils.launch import init_processes


def test_one_process_needs_no_group() -> None:
    init_processes('none')
    assert not is_distributed()


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
def test_without_a_gpu_only_torchrun_works() -> None:
    with pytest.raises(ValueError, match="got 'slurm'"):
        init_processes('slurm')
