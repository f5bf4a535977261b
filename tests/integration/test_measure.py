"""A training is measured once, and another config begins anew."""

import json

import pytest
import torch
from helpers.tiny import tiny_config, with_masks
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


def test_the_folder_keeps_the_config_of_the_training(config, tmp_path):
    folder = tmp_path / 'run'
    measure(config, folder, ['cam'])
    kept = Config.fromfile(folder / config.name)
    given = Config.fromfile(config)
    assert kept.train_dataloader == given.train_dataloader
    assert kept.test_dataloader == given.test_dataloader


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


def refuse(cfg):
    raise AssertionError('trained again')


def test_a_lost_checkpoint_is_trained_again_only_for_missing_parts(
    config, tmp_path, monkeypatch
):
    """Scores and seconds of the lost network do not stand for the new one."""
    folder = tmp_path / 'run'
    first = measure(config, folder, ['cam'], {'a': {}}, per_image=True)
    (folder / 'iter_2.pth').unlink()
    with monkeypatch.context() as patch:
        patch.setattr(measure_module, '_train', refuse)
        again = measure(config, folder, ['cam'], {'a': {}}, per_image=True)
        assert again == first
        with pytest.raises(AssertionError, match='trained again'):
            measure(config, folder, ['cam'], {'a': {}}, need_checkpoint=True)
    first['seconds'], first['trained'] = 1e6, True
    (folder / 'measure.json').write_text(json.dumps(first))
    other = measure(config, folder, settings={'b': {}}, per_image=True)
    assert [*other['val']] == [*other['settings']] == ['b']
    assert [*other['areas']] == ['val']
    assert not other.keys() & {'train', 'sources'}
    assert 0 < other['seconds'] < 1e6
    # An interruption before the first checkpoint leaves nothing to go on from.
    (folder / 'last_checkpoint').unlink()
    del other['trained']
    (folder / 'measure.json').write_text(json.dumps(other | {'seconds': 1e6}))
    assert measure(config, folder)['seconds'] < 1e6


@pytest.mark.parametrize('interrupted', [False, True])
def test_another_input_begins_anew(config, tmp_path, monkeypatch, interrupted):
    folder, seen = tmp_path / 'run', []
    measure(config, folder, inputs={'start': 'a'})
    record = folder / 'measure.json'
    if interrupted:
        result = json.loads(record.read_text())
        del result['trained']
        record.write_text(json.dumps(result))
    train = measure_module._train
    monkeypatch.setattr(
        measure_module, '_train', lambda cfg: seen.append(cfg.resume) or train(cfg)
    )
    # A name that is not known yet is of another part; it is added.
    found = measure(config, folder, inputs={'list': 'c'})
    assert found['inputs'] == {'start': 'a', 'list': 'c'}
    assert seen == [True] * interrupted
    seen.clear()
    found = measure(config, folder, inputs={'start': 'b'})
    assert found['inputs'] == {'start': 'b'}
    measure(config, folder, inputs={'start': 'b'})
    assert seen == [False]


def test_the_best_checkpoint_is_not_looked_for(config, tmp_path):
    cfg = Config.fromfile(config)
    cfg.merge_from_dict({'default_hooks.checkpoint.save_best': 'mIoU'})
    cfg.work_dir = str(tmp_path)
    assert measure_module._training(cfg).default_hooks.checkpoint.save_best is None


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


@pytest.mark.parametrize(
    ('case', 'found'),
    [
        ('mixed', 'found a SemiDataset with labeled images; set it to a WeakDataset'),
        ('no masks', r'found no ground truth of .*2\.png; set it to'),
        ('missing', 'which the config lacks; set it to'),
    ],
)
def test_sources_that_cannot_be_scored(config, tmp_path, monkeypatch, case, found):
    """They are refused before the training, unless there is nothing to score."""
    cfg = Config.fromfile(config)
    if case == 'mixed':
        cfg.export_dataloader = with_masks(cfg).train_dataloader
    elif case == 'no masks':
        cfg.export_dataloader.dataset.pipeline.pop(1)
    else:
        cfg.export_dataloader = None
    with monkeypatch.context() as patch:
        patch.setattr(measure_module, '_train', refuse)
        message = rf'config\.py: pseudo-labels \(sources\) are .*{found}'
        with pytest.raises(ValueError, match=message):
            measure(cfg, tmp_path / 'run', ['cam'])
        with pytest.raises(AssertionError, match='trained again'):
            measure(cfg, tmp_path / 'run')
