from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.dist import is_distributed
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from mmseg_wsss.datasets.samplers.stream_sampler import permutation
from mmseg_wsss.engine.hooks import NonFiniteLossHook
from mmseg_wsss.utils import launch
from mmseg_wsss.utils.launch import (
    error_message,
    init_processes,
    leave_processes,
    one_line_errors,
)
from mmseg_wsss.utils.settings import read_settings, setting

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


@pytest.mark.parametrize('gpu', [True, False])
def test_waiting_for_other_processes(monkeypatch, gpu) -> None:
    calls = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    monkeypatch.setattr(launch, 'init_dist', lambda *_, **kw: calls.append(kw))
    target = torch.distributed, 'init_process_group'
    monkeypatch.setattr(*target, lambda *_, **kw: calls.append(kw))
    init_processes('pytorch')
    init_processes('pytorch', timeout=90)
    limit = 90 if gpu else timedelta(seconds=90)  # MMEngine takes seconds
    assert calls == [{}, {'timeout': limit}]


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
def test_without_a_gpu_only_torchrun_works() -> None:
    with pytest.raises(ValueError, match="got 'slurm'"):
        init_processes('slurm')


@pytest.mark.parametrize(
    ('error', 'line'),
    [
        (ValueError('lr'), 'error: lr'),
        (KeyError('no key a'), 'error: no key a'),
        (FileNotFoundError('no list'), 'error: no list'),
        (PermissionError(13, 'Permission denied', 'x'), 'error: x: Permission denied'),
        (ModuleNotFoundError("No module named 'a'"), "error: No module named 'a'"),
    ],
)
def test_known_errors_are_one_line(capsys, error: Exception, line: str) -> None:
    with pytest.raises(SystemExit) as exit_, one_line_errors():
        raise error
    assert exit_.value.code == 2
    assert capsys.readouterr().err == f'{line}\n'


def test_a_wrong_argument_in_a_config_is_one_line(capsys) -> None:
    with pytest.raises(SystemExit), one_line_errors():
        DataLoader([0], batchsize=2)
    assert "unexpected keyword argument 'batchsize'" in capsys.readouterr().err


@pytest.mark.parametrize('name', ['child.py', 'base.py'])
def test_a_syntax_error_names_the_config_and_the_line(capsys, tmp_path, name) -> None:
    (tmp_path / 'base.py').write_text('a = 1\nb = (\n')
    (tmp_path / 'child.py').write_text("_base_ = 'base.py'\n")
    with pytest.raises(SystemExit), one_line_errors():
        Config.fromfile(tmp_path / name)
    expected = "base.py, line 2: '(' was never closed\n"
    assert capsys.readouterr().err.endswith(expected)


def wrong_setting(_: object = None) -> None:
    read_settings(Settings, {'thr': '1'}, 'test_cfg')


def non_finite_loss() -> None:
    NonFiniteLossHook().after_train_iter(SimpleNamespace(iter=3), 3, None, NAN)


def wrong_key_in_a_worker() -> None:
    next(iter(DataLoader([0], num_workers=1, collate_fn=wrong_key)))


def wrong_key(_: object) -> None:
    read_settings(Settings, {'thresh': 1}, 'test_cfg')


def wrong_setting_in_a_worker() -> None:
    next(iter(DataLoader([0], num_workers=1, collate_fn=wrong_setting)))


NAN = {'loss': torch.tensor(torch.nan)}


@dataclass(frozen=True)
class Settings:
    thr: float = setting(0.5)


@pytest.mark.parametrize(
    ('function', 'text'),
    [
        (wrong_setting, "error: test_cfg.thr must be a number, got '1'"),
        (wrong_setting_in_a_worker, "error: test_cfg.thr must be a number, got '1'"),
        (wrong_key_in_a_worker, 'error: "test_cfg has no key'),
        (non_finite_loss, 'error: iteration 3: not finite: loss = nan; images'),
    ],
)
def test_what_the_package_raises_is_one_line(capsys, function, text) -> None:
    with pytest.raises(SystemExit), one_line_errors():
        function()
    assert capsys.readouterr().err.startswith(text)


def test_debug_keeps_the_traceback(monkeypatch) -> None:
    monkeypatch.setattr('sys.argv', ['tool.py', '--debug'])
    with pytest.raises(ValueError, match='lr'), one_line_errors():
        raise ValueError('lr')


@pytest.mark.parametrize(
    'error', [KeyError('seg_map_path'), TypeError('a b'), RuntimeError('a b')]
)
def test_defects_keep_their_traceback(error) -> None:
    with pytest.raises(type(error)), one_line_errors():
        raise error


def test_a_missing_key_with_a_space_is_no_sentence() -> None:
    with pytest.raises(KeyError, match='MKD, tags'), one_line_errors():
        {}['MKD, tags']


def test_a_defect_of_the_package_keeps_its_traceback() -> None:
    with pytest.raises(TypeError), one_line_errors():
        permutation(None, 0)
    with pytest.raises(SyntaxError), one_line_errors():
        compile('a = (', 'file', 'exec')


def test_an_interrupt_is_one_line(capsys) -> None:
    with pytest.raises(SystemExit) as exit_, one_line_errors():
        raise KeyboardInterrupt
    assert exit_.value.code == 130
    assert capsys.readouterr().err == 'interrupted\n'


def test_an_error_of_a_data_loader_has_no_traceback_inside() -> None:
    def fail(_: object) -> None:
        raise ValueError('mask.png: labels [7]\nnot in [0, 3)')

    loader = DataLoader([0], num_workers=1, collate_fn=fail)
    with pytest.raises(ValueError, match='Original Traceback') as caught:
        next(iter(loader))
    assert error_message(caught.value) == 'mask.png: labels [7]\nnot in [0, 3)'
