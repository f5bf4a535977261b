"""Recipes of ASDT: published values, ablations and retraining."""

import pytest
from catalog import ROOT, build, find, hook, load, optimizer_groups
from mmengine.config import Config
from torch import nn

from mmseg_wsss.models.cam import MultiScaleCAM
from mmseg_wsss.models.segmentors.weak.parts.reliable_label import ReliableThresholds
from mmseg_wsss.registry import HOOKS


def published() -> Config:
    return find('asdt_wrn38_1xb4-20k_wsss-voc12aug-321')


class TestPublishedRecipe:
    """Against the paper, https://arxiv.org/abs/2112.09459, and the released code."""

    def test_schedule(self):
        cfg = published()
        (poly,) = cfg.param_scheduler
        assert (poly.power, poly.eta_min, poly.begin, poly.end) == (0.9, 0, 0, 20000)
        assert cfg.train_dataloader.batch_size == 4
        # Published figures are of iteration 18,000.
        assert 18000 % cfg.default_hooks.checkpoint.interval == 0
        assert cfg.default_hooks.checkpoint.get('max_keep_ckpts', -1) == -1

    def test_wave(self):
        wave = dict(hook(published(), 'PWMDistillationHook'))
        high = HOOKS.build(wave)
        assert (high.period, high.divisor, high.begin) == (150, 6, 1000)
        assert high.mode == 'pwm'
        assert sum(high.signal(t) for t in range(20000)) == 3175
        path = 'ablations/asdt-n3_wrn38_1xb4-20k_wsss-voc12aug-321.py'
        high = HOOKS.build(
            dict(hook(load(ROOT / 'configs/asdt' / path), 'PWMDistillationHook'))
        )
        assert sum(high.signal(t) for t in range(20000)) == 6350

    def test_augmentation(self):
        steps = {s.type: s for s in published().train_dataloader.dataset.pipeline}
        assert tuple(steps['RandomRescale'].ratio_range) == (0.7, 1.3)
        assert steps['RandomFlip'].prob == 0.5
        assert steps['RandomCropPad'].crop_size == (321, 321)
        assert not [kind for kind in steps if 'Photo' in kind]

    def test_model(self):
        model = build(published())
        assert model.branch_weights == (0.5, 0.5)
        assert model.distill_weight == 0.1
        assert (model.distill_mode, model.distill_keep_dense) == ('hard', True)
        assert (model.tag_filter, model.crf_guide) == (False, 'crop')
        assert model.mask_padding is True
        assert model.labeler.alphas == (4, 32)
        assert model.labeler.thresholds == ReliableThresholds()
        assert model.train_cam == MultiScaleCAM((1.0, 0.5, 1.5, 2.0), dropout=True)
        assert model.fuse == 'max'
        # The sum of both halves of the cross entropy.
        assert model.loss_seg.loss_weight == 2
        # The lattice of the released code gives 0.58 of the exact sum on average.
        assert model.dense_energy.weight == pytest.approx(0.58 * 1e-7, rel=1e-9)
        assert model.backbone.frozen_stages == ()
        assert model.backbone.norm_eval is True
        dropouts = [m.p for m in model.backbone.modules() if type(m) is nn.Dropout2d]
        assert dropouts == [0.3, 0.3, 0.5, 0.5]
        assert model.cam_head.pooling == 'gap'
        assert model.cam_head.dropout.p == 0.5
        for head in (model.teacher_head, model.decode_head):
            shapes = [tuple(p.shape) for p in head.parameters() if p.ndim == 4]
            assert sorted(shapes) == [(21, 512, 3, 3), (512, 4096, 3, 3)]
            convs = [m for m in head.modules() if type(m) is nn.Conv2d]
            assert {conv.dilation for conv in convs} == {(12, 12)}

    @pytest.mark.parametrize(
        ('name', 'sxy', 'srgb', 'compat'), [('crf', 80, 13, 10), ('crf_b', 83, 5, 4)]
    )
    def test_crf(self, name, sxy, srgb, compat):
        model = build(published())
        crf = model.crf_b if name == 'crf_b' else model.labeler.crf
        gauss, bilateral = crf.terms
        assert (gauss.sxy, gauss.srgb, gauss.compat) == (3, None, 3)
        assert (bilateral.sxy, bilateral.srgb) == (sxy, srgb)
        assert bilateral.compat == compat
        assert (crf.num_iters, crf.scale_factor) == (10, 1)

    def test_optimizer(self):
        cfg = published()
        model = build(cfg)
        groups = optimizer_groups(model, cfg)
        trunk, head, bias = (7e-4, 1e-5), (7e-3, 1e-5), (1.4e-2, 0.0)
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                assert 'bn' in name, f'{name} is frozen'
                assert name not in groups
            elif name.startswith('backbone.'):
                assert groups[name] == pytest.approx(trunk)
            else:
                kind = bias if name.endswith('bias') else head
                assert groups[name] == pytest.approx(kind), name
        assert groups['backbone.conv1a.weight'] == pytest.approx(trunk)
        assert len([n for n, group in groups.items() if group[1] == 0.0]) == 4

    def test_optimizer_of_a_trunk_with_biases(self):
        model = nn.ModuleDict({'backbone': nn.Conv2d(3, 4, 1)})
        groups = optimizer_groups(model, published())
        assert groups['backbone.weight'] == pytest.approx((7e-4, 1e-5))
        assert groups['backbone.bias'] == pytest.approx((1.4e-3, 0.0))


ONLY_ASDT = ('crf_b', 'distill_weight', 'tag_filter')


class TestOtherRecipes:
    def test_eight_gpus_see_as_many_images(self):
        cfg = load(ROOT / 'configs/asdt/asdt_wrn38_8xb2-5k-amp_wsss-voc12aug-321.py')
        batch = 8 * cfg.train_dataloader.batch_size
        assert batch * cfg.train_cfg.max_iters == 4 * 20000
        scale = batch / 4
        assert cfg.optim_wrapper.optimizer.lr == pytest.approx(scale * 7e-4)
        assert hook(cfg, 'PWMDistillationHook')['begin'] == 1000 / scale

    def test_ablations_differ_from_the_recipe_in_little(self):
        recipe = published().to_dict()
        paths = sorted((ROOT / 'configs/asdt/ablations').glob('asdt-*.py'))
        assert paths
        for path in paths:
            cfg = load(path).to_dict()
            changed = {k for k in cfg if cfg[k] != recipe.get(k)}
            assert changed, f'{path.name} changes nothing'
            expected = {'custom_hooks'}, {'model'}
            if 'released' in path.name:
                expected = (
                    {'custom_hooks', 'model', 'train_pipeline', 'train_dataloader'},
                )
            assert changed in expected, path.name

    @pytest.mark.parametrize('name', ['rrm', 'asdt-never'])
    def test_ablations_on_voc_mini_share_budget_and_start(self, name):
        (asdt,), (cfg,) = (
            [
                load(path)
                for path in ROOT.glob(f'configs/*/{method}_*_wsss-voc-mini-*.py')
            ]
            for method in ('asdt', name)
        )
        for key in asdt:
            if key not in ('custom_hooks', 'model'):
                assert cfg[key] == asdt[key], key
        runtime = [h for h in asdt.custom_hooks if h.type != 'PWMDistillationHook']
        others = [h for h in cfg.custom_hooks if h.type != 'PWMDistillationHook']
        assert others == runtime
        if name == 'rrm':
            assert cfg.custom_hooks == runtime
            shared = set(asdt.model) - {'type', 'teacher_head', *ONLY_ASDT}
            assert set(cfg.model) == {'type', *shared}
            assert all(cfg.model[key] == asdt.model[key] for key in shared)
        else:
            assert hook(cfg, 'PWMDistillationHook')['mode'] == 'never'
            assert cfg.model == asdt.model

    def test_coco_has_nothing_to_balance(self):
        cfg = load(ROOT / 'configs/asdt/asdt_wrn38_1xb4-20k_wsss-cocostuff10k-321.py')
        model = build(cfg)
        assert model.num_classes == model.cam_head.num_classes == 171
        assert model.labeler.thresholds.cam_floor == 0.3
        assert type(model.loss_seg).__name__ == 'ValidCrossEntropyLoss'
        assert cfg.val_dataloader.dataset.reduce_zero_label is True
        assert cfg.optim_wrapper == published().optim_wrapper

    @pytest.mark.parametrize('method', ['asdt', 'rrm'])
    def test_released_code_labels_padding(self, method):
        (path,) = ROOT.glob(f'configs/{method}/**/{method}-released_*.py')
        cfg = load(path)
        assert build(cfg).mask_padding is False
        rescale = cfg.train_dataloader.dataset.pipeline[-4]
        assert (rescale.type, rescale.batch_size) == ('RandomRescale', 4)

    def test_retraining_with_accumulation(self):
        (path,) = ROOT.glob('configs/asdt/retrain/deeplabv3plus_r101-d8_*.py')
        cfg = load(path)
        updates = cfg.train_cfg.max_iters / cfg.optim_wrapper.accumulative_counts
        assert updates == 20000
        optimizer = cfg.optim_wrapper.optimizer
        assert (optimizer.lr, optimizer.momentum) == (2.5e-4, 0.9)
        assert optimizer.weight_decay == 5e-4
