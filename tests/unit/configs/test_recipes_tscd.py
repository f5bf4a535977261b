"""The published recipes of AFA and TSCD, and their runs on voc-mini."""

import pytest
import torch
from catalog import ROOT, build, hook, load
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

from mmseg_wsss.models.cam import PairedCAM
from mmseg_wsss.registry import MODELS


def published(method: str = 'tscd', data: str = 'voc12aug') -> Config:
    (path,) = ROOT.glob(f'configs/{method}/{method}_mit-b1_*xb2-*_wsss-{data}-*.py')
    return load(path)


@pytest.mark.parametrize(
    ('data', 'iters', 'drop'),
    [('voc12aug', 20000, 0.925), ('coco14', 80000, 0.98125)],
)
def test_schedule(data, iters, drop):
    cfg = published('tscd', data)
    assert cfg.param_scheduler == published('afa', data).param_scheduler
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    kinds = [dict(scheduler) for scheduler in cfg.param_scheduler]
    schedulers = [
        PARAM_SCHEDULERS.build(kind, default_args={'optimizer': optimizer})
        for kind in kinds
    ]
    rates = []
    steps = 20000
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    assert rates[0] == pytest.approx(1e-6)
    assert rates[750] == pytest.approx(0.5, abs=1e-3)
    assert rates[1499] == pytest.approx(1, abs=1e-3)
    assert rates[1500] == pytest.approx(drop, abs=1e-4)
    for t in (5000, steps - 1):
        assert rates[t] == pytest.approx(1 - t / iters, abs=1e-4)


def test_parameter_groups():
    cfg = published()
    model = build(cfg)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = {
        names[parameter]: (group['lr'], group['weight_decay'])
        for group in optimizer.param_groups
        for parameter in group['params']
    }
    assert set(groups) == set(names.values())
    norms = {
        f'{name}.{leaf}'
        for name, module in model.backbone.named_modules(prefix='backbone')
        if isinstance(module, nn.LayerNorm)
        for leaf in ('weight', 'bias')
    }
    # 4 embeddings, 8 blocks with two, 6 of them with a reduction, 4 ends of stages
    assert len(norms) == 2 * (4 + 2 * 8 + 6 + 4)
    for name, group in groups.items():
        trunk = (0.0, 0.0) if name in norms else (6e-5, 0.01)
        expected = trunk if name.startswith('backbone.') else (6e-4, 0.01)
        assert group == pytest.approx(expected), name


@pytest.mark.parametrize('method', ['afa', 'tscd'])
def test_model(method):
    model = build(published(method))
    assert (model.labeler.high_thr, model.labeler.low_thr) == (0.55, 0.35)
    assert model.train_cam == PairedCAM((1.0, 0.5, 1.5), flip=True, merge='sum')
    assert (model.cam_head.pooling, model.cam_head.dropout.p) == ('gmp', 0)
    assert model.affinity_head.fuse.in_channels == 16
    assert model.affinity_head.symmetric == (method == 'afa')
    assert model.align_corners is False
    if method == 'tscd':
        assert model.train_align_corners is True
    assert model.labeler.refiner.kind == {'afa': 'par', 'tscd': 'varm'}[method]
    assert model.labeler.refiner.num_iters == 10
    assert model.loss_seg.loss_weight == model.loss_affinity.loss_weight == 0.1
    assert model.dense_energy is None
    if method == 'tscd':
        assert model.loss_scd.loss_weight == 0.1
        assert (model.view_scale, model.n_points) == (0.3, 1600)
        assert model.er_mode == 'off'


def test_initial_weights():
    """PyTorch's own: uniform up to 1 / sqrt(channels)."""
    model = published().model
    heads = [MODELS.build(model[name]) for name in ('cam_head', 'decode_head')]
    for head in heads:
        head.init_weights()
    classifier, conv_seg = heads[0].classifier, heads[1].conv_seg
    assert classifier.weight.std().item() == pytest.approx(0.026, abs=0.001)
    assert conv_seg.weight.std().item() == pytest.approx((3 * 256) ** -0.5, rel=0.05)
    assert conv_seg.bias.abs().amax() > 0.01


def test_phases():
    cfg = published('afa')
    assert hook(cfg, 'WeakWarmupHook')['iters'] == 2001
    assert hook(cfg, 'AffinityLabelHook')['begin'] == 6001
    assert hook(published(), 'AffinityLabelHook') is None
    coco = published('afa', 'coco14')
    assert hook(coco, 'WeakWarmupHook')['iters'] == 5001
    assert hook(coco, 'AffinityLabelHook')['begin'] == 15001
    assert coco.model.refiner.num_iters == 15
    labels = [build(recipe).affinity_label for recipe in (cfg, coco)]
    assert labels == ['cam', 'walk']


@pytest.mark.parametrize('data', ['voc12aug', 'coco14'])
def test_augmentation(data):
    pipeline = published(data=data).train_dataloader.dataset.pipeline
    steps = {s.type: s for s in pipeline}
    assert steps['RandomRescale'].backend == 'pillow'
    assert tuple(steps['RandomRescale'].ratio_range) == (0.5, 2.0)
    assert tuple(steps['RandomCropPad'].pad_val) == (0, 0, 0)
    assert not [kind for kind in steps if 'Photo' in kind]


def test_released_preset():
    (path,) = ROOT.glob('configs/tscd/ablations/tscd-released_*.py')
    cfg = load(path)
    model = build(cfg)
    assert model.train_cam == PairedCAM(train_mode=True)
    assert model.dense_energy.weight == pytest.approx(0.01 * 0.58 * 1e-7)
    rescale = cfg.train_dataloader.dataset.pipeline[1]
    assert (rescale.type, rescale.backend) == ('RandomRescale', 'pillow')


def test_ablations_differ_from_the_recipe_in_little():
    recipe = published().to_dict()
    paths = sorted((ROOT / 'configs/tscd/ablations').glob('*.py'))
    assert paths
    for path in paths:
        cfg = load(path).to_dict()
        changed = {key for key in cfg if cfg[key] != recipe.get(key)}
        changed -= {'crop_size', 'train_pipeline'}
        assert 'model' in changed, f'{path.name} changes nothing'
        assert changed <= {
            'cam': {'model', 'custom_hooks'},
            'tscd-released': {'model', 'train_dataloader'},
        }.get(path.stem.split('_')[0], {'model'}), path.name


def test_runs_on_voc_mini_share_budget_and_start():
    paths = ROOT.glob('configs/*/*_mobilenet-v2_1xb8-600_wsss-voc-mini-225.py')
    runs = {path.stem.split('_')[0]: load(path) for path in paths}
    camseg, afa, tscd = (runs[name] for name in ('camseg', 'afa', 'tscd'))
    for cfg in (afa, tscd):
        for key in cfg:
            if key not in ('model', 'optim_wrapper', 'custom_hooks'):
                assert cfg[key] == camseg[key], key
        assert cfg.load_from == runs['asdt'].load_from
    assert {k: v for k, v in afa.model.items() if k != 'type'} == {
        k: v for k, v in tscd.model.items() if k != 'type'
    }
