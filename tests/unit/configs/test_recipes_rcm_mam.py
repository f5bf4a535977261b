"""The recipes of RCM + MAM against the paper, https://arxiv.org/abs/2112.05351."""

import pytest
import torch
from catalog import ROOT, build, hook, load, optimizer_groups

FOLDER = ROOT / 'configs/rcm_mam'
FIRST = FOLDER / 'rcmmam-rcm_wrn38_1xb8-19830_wsss-voc12aug-384.py'
SECOND = FOLDER / 'rcmmam_wrn38_1xb8-13220_wsss-voc12aug-384.py'
MINI = 'rcmmam{}_mobilenet-v2_1xb8-300_wsss-voc-mini-225.py'


def test_the_network():
    model = build(load(SECOND))
    assert model.cam_head.embedding.weight.shape == (256, 4096, 1, 1)
    assert model.cam_head.dropout.p == 0
    dropouts = {m.p for m in model.backbone.modules() if type(m) is torch.nn.Dropout2d}
    assert dropouts == {0.2}
    assert model.region_thr == 0.3
    assert model.memory.queue.shape == (21, 5, 256)
    assert (model.main_scales, model.mam_ratio) == ((0.5, 1, 2), 0.5)
    assert model.support_scales == (0.5, 1, 1.5, 2)
    assert (model.loss_rcm.scale, model.loss_rcm.loss_weight) == (2.0, 1.0)
    assert (model.loss_mam.loss_weight, model.loss_cls.loss_weight) == (1.0, 1.0)
    assert not any((model.ignore_bg, model.mask_padding, model.mam_own_forward))


def test_the_optimizer():
    """One rate for all; conv1a, b2, batch norm and SupportNet are left out."""
    cfg = load(SECOND)
    model = build(cfg)
    groups = optimizer_groups(model, cfg)
    frozen = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert any(name.startswith('backbone.b2_1.') for name in frozen)
    assert 'backbone.conv1a.weight' in frozen
    assert not set(groups) & set(frozen)
    for name in groups:
        assert not name.startswith(('support.', 'backbone.b2', 'backbone.conv1a'))
        bias = name.endswith('bias')
        expected = (0.02, 0.0) if bias else (0.01, 5e-4)
        assert groups[name] == pytest.approx(expected), name
    assert groups['cam_head.embedding.weight'] == pytest.approx((0.01, 5e-4))


def test_the_phases():
    first, second = load(FIRST), load(SECOND)
    assert first.model.loss_mam.loss_weight == 0
    assert first.max_iters == 15 * 1322
    assert second.max_iters == 10 * 1322
    assert f'{FIRST.stem}/iter_{first.max_iters}.pth' in second.load_from
    for cfg in (first, second):
        ema = hook(cfg, 'MeanTeacherHook')
        assert (ema.decay, ema.schedule) == (0.996, 'constant')
        assert cfg.randomness.seed == 5123
        metric = cfg.val_evaluator[0]
        assert (metric.thresholds[0], metric.thresholds[-1]) == (0.10, 0.29)
        assert len(metric.thresholds) == 20
    paths = sorted(FOLDER.glob('**/rcmmam*_wrn38_1xb8-13220*.py'))
    assert paths
    for path in paths:
        assert hook(load(path), 'MultiScaleAttentionHook').restart_support, path.name
    (single,) = FOLDER.glob('rcmmam-single_wrn38*.py')
    assert hook(load(single), 'MultiScaleAttentionHook').begin == 4 * 1322


def test_the_augmentation():
    steps = {s.type: s for s in load(FIRST).train_dataloader.dataset.pipeline}
    resize = steps['RandomResize']
    assert [side * r for side, r in zip(resize.scale, resize.ratio_range)] == [256, 512]
    jitter = steps['RandomApply']
    assert jitter.prob == 0.8
    (jitter,) = jitter.transforms
    values = jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue
    assert values == (0.4, 0.4, 0.4, 0.1)


def test_ablations_differ_from_their_phase_in_little():
    paths = sorted((FOLDER / 'ablations').glob('*.py'))
    assert paths
    for path in paths:
        cfg = load(path).to_dict()
        whole = load(SECOND if '13220' in path.name else FIRST).to_dict()
        changed = {key for key in cfg if cfg[key] != whole.get(key)}
        assert changed, f'{path.name} changes nothing'
        assert changed <= {'model', 'custom_hooks', 'load_from'}, path.name


@pytest.mark.parametrize('name', ['-rcm', '-mam', '-none'])
def test_runs_on_voc_mini_share_budget_and_start(name):
    whole, cfg = (load(FOLDER / MINI.format(n)).to_dict() for n in ('', name))
    assert {key for key in whole if cfg[key] != whole[key]} == {'model'}
    weights = [
        cfg['model'].get(loss, {}).get('loss_weight', 1.0)
        for loss in ('loss_rcm', 'loss_mam')
    ]
    assert weights == {'-rcm': [1, 0], '-mam': [0, 1], '-none': [0, 0]}[name]
