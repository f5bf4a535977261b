"""The recipes of MKD and of the semi-supervised baselines."""

import copy
from pathlib import Path

import pytest
import torch
from catalog import ROOT, build, find, hook, load
from helpers.tiny import batch_of
from mmengine.model.utils import revert_sync_batchnorm
from mmseg.structures import SegDataSample

from mmseg_wsss.registry import MODELS

PUBLISHED = 'mkd-released_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512'


def test_ablations_differ_from_the_recipe_in_little():
    paths = sorted(ROOT.glob('configs/mkd/ablations/*.py'))
    assert paths
    for path in paths:
        recipe = find(path.stem.replace(path.stem.split('_')[0], 'mkd'))
        cfg = load(path)
        changed = {key for key in cfg if cfg[key] != recipe.get(key)}
        data = {'unlabeled_pipeline', 'train_dataloader'}
        assert changed in ({'model'}, {'custom_hooks'}, data), path.stem
        if changed == {'model'}:
            assert cfg.model.segmentor == recipe.model.segmentor, path.stem


METHODS = (
    'mkd',
    'supervised',
    'mean-teacher',
    'cps',
    'fixmatch',
    'unimatch',
    'unimatch-v2',
)


@pytest.mark.parametrize(
    'name',
    [
        '{}_mobilenet-v2_1xb4+4-900_semi-1-4-voc-mini-225',
        '{}_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512',
        '{}_r50_4xb2+2-60k-amp_semi-1-16-cityscapes-769',
    ],
)
def test_methods_share_budget_and_network(name):
    mkd = find(name.format('mkd'))
    for method in METHODS:
        cfg = find(name.format(method))
        assert cfg.model.segmentor == mkd.model.segmentor, method
        for key in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'load_from'):
            assert cfg.get(key) == mkd.get(key), method


def test_the_start_of_the_runs_on_voc_mini():
    start = find('supervised_mobilenet-v2_1xb8-1000_sup-1-4-voc-mini-225')
    for method in METHODS:
        cfg = find(f'{method}_mobilenet-v2_1xb4+4-900_semi-1-4-voc-mini-225')
        assert Path(cfg.load_from).parent.name == Path(start.filename).stem
        assert cfg.model.segmentor.backbone == start.model.backbone
        assert cfg.model.segmentor.decode_head == start.model.decode_head
        split = cfg.train_dataloader.dataset.split
        assert start.train_dataloader.dataset.ann_file.endswith(f'{split}/labeled.txt')


def test_dinov2_trains_and_predicts():
    cfg = copy.deepcopy(
        find('unimatch-v2_dinov2-small_4xb4+4-30k-amp_semi-732-voc12classic-518')
    )
    cfg.model.segmentor.backbone.init_cfg = None
    build(cfg)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    # Two patches of 14 by three, of an image that is no multiple of them.
    inputs, samples = batch_of('UniMatchV2', size=(28, 42))
    model.progress = 0.5  # as MeanTeacherHook does
    losses = model.loss(inputs, samples)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    for name, parameter in model.student.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert all(p.grad is None for p in model.teacher.parameters())
    model.eval()
    image = torch.zeros(3, 30, 40, dtype=torch.uint8)
    sample = SegDataSample(metainfo={'ori_shape': (30, 40), 'img_shape': (30, 40)})
    data = {'inputs': [image], 'data_samples': [sample]}
    (result,) = model.test_step(data)
    assert result.pred_sem_seg.data.shape == (1, 30, 40)


class TestPublishedRecipe:
    """Against the paper, https://arxiv.org/abs/2208.11499, and the released code."""

    def test_schedule(self):
        cfg = find(PUBLISHED)
        optimizer = cfg.optim_wrapper.optimizer
        assert (optimizer.lr, optimizer.momentum) == (2.5e-3, 0.9)
        assert optimizer.weight_decay == 5e-4
        assert cfg.optim_wrapper.loss_scale == 512
        (poly,) = cfg.param_scheduler
        assert (poly.power, poly.eta_min, poly.end) == (0.9, 0, 30000)
        assert cfg.default_hooks.checkpoint.interval == 2000

    def test_teachers(self):
        wave = hook(find(PUBLISHED), 'MeanTeacherHook')
        assert (wave.decay, wave.get('schedule', 'warmup')) == (0.6, 'warmup')

    def test_losses(self):
        model = build(find(PUBLISHED))
        cfg = model.train_cfg
        assert (cfg.sup_weight, cfg.teacher_weight, cfg.student_weight) == (1, 1.5, 1)
        assert cfg.loss_scale_factor == 0.5
        assert (cfg.pseudo_thr_teacher, cfg.pseudo_thr_student) == (0, 0)
        assert (cfg.semi_on_labeled, cfg.mask_padding) == (True, False)
        assert (cfg.teacher_mode, cfg.labels_from) == ('train', 'offset')
        assert cfg.mean_over == 'confident'
        assert (cfg.isda.end_ratio, cfg.isda.schedule) == (1.5, 'cosine')
        assert len(model.isda) == 4
        assert (cfg.cutmix.num_boxes, cfg.cutmix.prop_range) == (3, (0.25, 0.5))
        assert model.predict_on == 'student1'

    def test_network(self):
        net = build(find(PUBLISHED)).student1
        norms = [m for m in net.modules() if 'BatchNorm' in type(m).__name__]
        assert {norm.momentum for norm in norms} == {0.001}
        assert net.decode_head.dropout is None
        assert net.decode_head.conv_seg.kernel_size == (1, 1)
        assert not net.with_auxiliary_head

    def test_paper_has_a_threshold_and_names_its_mean(self):
        released = find(PUBLISHED).to_dict()
        paper = find(PUBLISHED.replace('released', 'paper')).to_dict()
        settings = paper['model']['semi_train_cfg']
        assert settings.pop('pseudo_thr_teacher') == 0.95
        assert settings.pop('mean_over') == 'confident'
        assert paper == released
