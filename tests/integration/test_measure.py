"""A training is measured once, and another config begins anew."""

import json

import pytest
import torch
from helpers.tiny import tiny_config
from mmengine.config import Config

from mmseg_wsss.pipelines import measure as measure_module
from mmseg_wsss.pipelines.measure import measure


@pytest.fixture
def config(tiny_voc, tmp_path):
    cfg = tiny_config('CAM', tiny_voc, tmp_path / 'unused', 2)
    cfg.export_dataloader = cfg.test_dataloader
    path = tmp_path / 'config.py'
    cfg.dump(path)
    return path


def weights(folder) -> dict[str, torch.Tensor]:
    return torch.load(folder / 'iter_2.pth', weights_only=False)['state_dict']


def same(first: dict, second: dict) -> bool:
    return all(torch.equal(first[key], second[key]) for key in first)


def test_what_is_finished_is_not_done_again(config, tmp_path):
    folder = tmp_path / 'run'
    first = measure(config, folder, ['cam'])
    assert first == json.loads((folder / 'measure.json').read_text())
    assert first['val']['single scale']['mIoU'] >= 0
    assert first['seconds'] > 0
    assert measure(config, folder, ['cam']) == first


def test_another_config_begins_anew(config, tmp_path):
    folder = tmp_path / 'run'
    first = measure(config, folder)
    old = weights(folder)
    changed = {'optim_wrapper.optimizer.lr': 0.1}
    second = measure(config, folder, cfg_options=changed)
    assert second['digest'] != first['digest']
    new = weights(folder)
    assert not same(old, new)
    measure(config, tmp_path / 'fresh', cfg_options=changed)
    assert same(new, weights(tmp_path / 'fresh'))


def test_another_config_that_was_interrupted_begins_anew(config, tmp_path, monkeypatch):
    """The checkpoint of the first config does not stand for the second."""
    folder = tmp_path / 'run'
    measure(config, folder)
    old = weights(folder)
    changed = {'optim_wrapper.optimizer.lr': 0.1}

    def interrupt(cfg):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(measure_module, '_train', interrupt)
        measure(config, folder, cfg_options=changed)
    measure(config, folder, cfg_options=changed)
    assert not same(old, weights(folder))


def test_a_changed_setting_is_tested_again(config, tmp_path):
    folder = tmp_path / 'run'
    plain = measure(config, folder, settings={'test': {}})
    again = measure(config, folder, settings={'test': {'ms_flip': True}})
    assert plain['val']['test'].keys() != again['val']['test'].keys()
    assert again['seconds'] == plain['seconds']


def test_an_interrupted_training_goes_on(config, tmp_path):
    whole, folder = tmp_path / 'whole', tmp_path / 'run'
    measure(config, whole)
    half = Config.fromfile(config)
    half.train_cfg.max_iters = 1
    half.default_hooks.checkpoint.interval = 1
    half.dump(tmp_path / 'half.py')
    measure(tmp_path / 'half.py', folder)
    (folder / 'measure.json').unlink()  # as if it had been the same config
    measure(config, folder)
    assert same(weights(whole), weights(folder))


def test_a_setting_overrides_the_config(config, tmp_path):
    """Above the largest CAM everything is background."""
    override = {'cfg_options': {'model.test_cfg.bg_thr': 1.0}}
    result = measure(config, tmp_path / 'run', settings={'a': {}, 'b': override})
    plain, background = result['val']['a'], result['val']['b']
    assert background['mAcc'] == pytest.approx(100 / 5, abs=0.01)  # of 5 classes
    assert plain['mAcc'] != background['mAcc']
