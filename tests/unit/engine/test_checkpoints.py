"""The restricted loader of checkpoints: what it allows, and where it is active."""

import argparse
import errno
import pickle
import re
import zipfile
from unittest import mock

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from mmseg_wsss.engine.checkpoints import read_checkpoint, safe_checkpoints
from mmseg_wsss.utils.launch import error_message


@pytest.mark.parametrize('core', [b'numpy.core', b'numpy._core'])
def test_statistics_written_under_either_numpy_are_read(tmp_path, core):
    """NumPy 2 renamed the module that pickled arrays go by."""
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    buffer.update(np.float64(3.0))
    path, other = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save({'loss': buffer}, path, pickle_protocol=2)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, 'w') as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith('data.pkl'):
                for known in (b'cnumpy._core.', b'cnumpy.core.'):
                    content = content.replace(known, b'c' + core + b'.')
                assert b'c' + core + b'.multiarray\n' in content
            target.writestr(name, content)
    with safe_checkpoints():
        loaded = CheckpointLoader.load_checkpoint(str(other))['loss']
    assert loaded.data[0].tolist() == [1.0, 2.0, 3.0]


def test_other_functions_of_numpy_are_refused(tmp_path):
    class Call:
        def __reduce__(self):
            return np.save, (str(tmp_path / 'written.npy'), 1)

    path = tmp_path / 'a.pth'
    with open(path, 'wb') as file:
        pickle.dump({'loss': Call()}, file, protocol=2)
    with safe_checkpoints(), pytest.raises(ValueError, match=r'a\.pth'):
        CheckpointLoader.load_checkpoint(str(path))
    assert not (tmp_path / 'written.npy').exists()


@pytest.mark.parametrize('url', ['https://a.org/a.pth', 'torchvision://a'])
def test_downloads_are_restricted(tmp_path, monkeypatch, url):
    """As read from the cache of torch.hub."""
    models = {'a': 'https://a.org/a.pth'}
    monkeypatch.setattr(mmengine_checkpoint, 'get_torchvision_models', lambda: models)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    path = tmp_path / 'hub/checkpoints/a.pth'
    path.parent.mkdir(parents=True)
    torch.save({'loss': HistoryBuffer([1.0], [1])}, path)
    load = mmengine_checkpoint.load_url
    with safe_checkpoints():
        loaded = CheckpointLoader.load_checkpoint(url, 'cpu')
        assert loaded['loss'].data[0].tolist() == [1]
        torch.save({'meta': argparse.Namespace(lr=1.0)}, path)
        with pytest.raises(ValueError, match=r'https://a\.org/a\.pth: .*run code'):
            CheckpointLoader.load_checkpoint(url, 'cpu')
    assert mmengine_checkpoint.load_url is load
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    with safe_checkpoints():
        assert CheckpointLoader.load_checkpoint(url, 'cpu')['meta'].lr == 1


@pytest.mark.parametrize(
    ('error', 'expected'),
    [
        (OSError(errno.EIO, 'Input/output error'), OSError),
        (RuntimeError("can't allocate memory: you tried"), ValueError),
        (torch.cuda.OutOfMemoryError('CUDA out of memory'), RuntimeError),
    ],
)
def test_errors_unrelated_to_safety_do_not_advise_against_it(
    tmp_path, monkeypatch, error, expected
):
    (tmp_path / 'a.pth').touch()
    monkeypatch.setattr(torch, 'load', mock.Mock(side_effect=error))
    with pytest.raises(expected, match=re.escape(str(error))) as caught:
        read_checkpoint(tmp_path / 'a.pth')
    message = error_message(caught.value)
    assert 'TORCH_FORCE' not in message
    assert 'CUDA' in message or message.startswith(f'{tmp_path}/a.pth: ')


@pytest.mark.parametrize('size', [0, 100, -50])
def test_a_truncated_file_is_damaged_not_unsafe(tmp_path, size):
    path = tmp_path / 'a.pth'
    torch.save({'state_dict': {'a': torch.ones(1000)}}, path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r'a\.pth: .*damaged') as caught:
        read_checkpoint(path)
    assert 'run code' not in str(caught.value)


def test_mmengine_loads_as_before_outside_of_the_context(tmp_path, monkeypatch):
    # The original MMEngine cannot load this without the variable.
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    path = tmp_path / 'a.pth'
    torch.save({'meta': {'args': argparse.Namespace(lr=1.0)}}, path)

    def loads() -> bool:
        return 'args' in CheckpointLoader.load_checkpoint(str(path))['meta']

    assert loads()
    monkeypatch.delenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD')
    schemes = list(CheckpointLoader._schemes.items())
    with safe_checkpoints(), safe_checkpoints(), pytest.raises(ValueError, match='run'):
        loads()
    assert list(CheckpointLoader._schemes.items()) == schemes


def test_loading_says_nothing_and_leaves_mmengine_as_it_was(tmp_path, capfd):
    network, before = torch.nn.Linear(1, 1), vars(CheckpointLoader)['load_checkpoint']
    torch.save({'state_dict': network.state_dict()}, tmp_path / 'a.pth')
    with safe_checkpoints():
        load_checkpoint(network, str(tmp_path / 'a.pth'))
        assert capfd.readouterr() == ('', '')
    assert vars(CheckpointLoader)['load_checkpoint'] is before
    load_checkpoint(network, str(tmp_path / 'a.pth'))
    assert capfd.readouterr().out.startswith('Loads checkpoint by ')


def test_reading_says_nothing(tmp_path, capfd):
    torch.save({'state_dict': {'a': torch.ones(1)}}, tmp_path / 'a.pth')
    assert read_checkpoint(tmp_path / 'a.pth')['state_dict']['a'] == 1
    assert capfd.readouterr() == ('', '')
