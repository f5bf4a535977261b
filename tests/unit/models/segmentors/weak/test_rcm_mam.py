"""RCM + MAM: the step against its equations, and every option."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import NUM_TAGS
from helpers.tiny import (
    tiny_batch,
    tiny_config,
    tiny_model,
    tiny_network,
    write_tiny_voc,
)
from helpers.training import train
from mmengine.config import Config, ConfigDict
from mmengine.runner import load_checkpoint, save_checkpoint
from mmengine.structures import PixelData

from mmseg_wsss.engine.hooks import MultiScaleAttentionHook
from mmseg_wsss.models.pseudo_labels import (
    leave_one_out,
    region_labels,
    regional_prototypes,
)
from mmseg_wsss.models.segmentors import RCMMAM
from mmseg_wsss.models.segmentors.weak import stack_tags
from mmseg_wsss.registry import MODELS

EMBEDDED = {
    'type': 'CAMHead',
    'in_channels': 16,
    'num_classes': NUM_TAGS,
    'embed_channels': 12,
}


def build(**settings) -> RCMMAM:
    """As specified, with an embedding, but with two scales of each network."""
    defaults = {'mask_padding': False, 'mam_ratio': 0.5, 'cam_head': EMBEDDED}
    torch.manual_seed(0)
    cfg = tiny_model('RCMMAM', drop=False, **{**defaults, **settings})
    cfg['backbone']['norm_eval'] = True
    model = MODELS.build(ConfigDict(cfg))
    model.init_weights()
    with torch.no_grad():  # the teacher is somewhere else than the student
        for p in model.support.parameters():
            p += 0.1 * torch.randn_like(p)
    model.warmup, model.use_mam, model.progress = False, True, 0.5
    return model.train()


def up(maps, corners=False, size=(33, 33)):
    return F.interpolate(maps, size, mode='bilinear', align_corners=corners)


def slow_maps(backbone, head, inputs, scale):
    """Embedding and raw CAM at a scale."""
    side = int(33 * scale)
    img = inputs if scale == 1 else up(inputs, True, (side, side))
    feat = F.relu(F.conv2d(backbone(img)[-1], head.embedding.weight))
    return feat, F.conv2d(feat, head.classifier.weight)


def slow_step(model, inputs, tags, num):
    """Sections 5 and 6, map by map, at full resolution."""
    masks = tags[:, :, None, None]
    with torch.no_grad():
        support = model.support
        parts = {
            r: slow_maps(support['backbone'], support['cam_head'], inputs, r)
            for r in (0.5, 1.0)
        }
        cams = {r: F.relu(up(cam)) * masks for r, (_, cam) in parts.items()}
        label = region_labels(cams[0.5] + cams[1.0], tags, 0.3)
        near = region_labels(cams[1.0], tags, 0.3)
        own = regional_prototypes(parts[1.0][0], near, NUM_TAGS + 1)
        others = leave_one_out(own)
        # As there are 3 images, the queue holds all of them.
        prototypes = F.normalize(others.mean(0), dim=-1)
    feat, _ = slow_maps(model.backbone, model.cam_head, inputs, 1.0)
    unit = F.normalize(up(feat), dim=1)
    logits = 2.0 * torch.einsum('ndhw,kd->nkhw', unit, prototypes)
    rcm = F.cross_entropy(logits, label)
    mam = 0.0
    for s in (0.5, 1.0):
        _, cam = slow_maps(model.backbone, model.cam_head, inputs[:num], s)
        cam = up(F.relu(cam)) * masks[:num]
        for n in range(num):
            for k in range(NUM_TAGS):
                a, target = cam[n, k], 0.0
                for b in (cams[r][n, k] for r in (0.5, 1.0)):
                    lengths = a.norm() * b.norm()
                    cosine = (a * b).sum() / lengths if lengths > 0 else 0.0
                    target = target + (2 - cosine) * b / 2
                mam = mam + (target.detach() - a).abs().mean() / (num * NUM_TAGS)
    return rcm, mam


@pytest.mark.parametrize(('ratio', 'num'), [(0.5, 1), (1.0, 3)])
def test_a_step_is_the_formula(ratio, num):
    model = build(mam_ratio=ratio)
    inputs, samples = tiny_batch(3, tags=((0,), (1, 4), (0, 1)))
    losses = model.loss(inputs, samples)
    tags = stack_tags(samples)
    rcm, mam = slow_step(model, inputs, tags, num)
    torch.testing.assert_close(losses['loss_rcm'], rcm, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(losses['loss_mam'], mam, rtol=1e-4, atol=1e-5)
    logits = model.cam_head(model.extract_feat(inputs))
    cls = F.binary_cross_entropy_with_logits(logits, tags)
    torch.testing.assert_close(losses['loss_cls'], cls)
    params = [p for n, p in model.named_parameters() if n.startswith('backbone')]
    wanted = torch.autograd.grad(cls + rcm + mam, params)
    found = torch.autograd.grad(model.parse_losses(losses)[0], params)
    for first, second in zip(found, wanted):
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-5)


def losses_of(model, **batch):
    return model.loss(*tiny_batch(**{'num': 2, 'tags': ((0, 3), (0, 1)), **batch}))


@pytest.mark.parametrize(
    'masks, rows', [((), (0, 1)), ((0, 1), (2, 3)), ((1,), (0, 2))]
)
def test_mam_takes_images_without_masks_first(masks, rows, monkeypatch):
    model = build(loss_rcm={'type': 'RegionalContrastiveLoss', 'loss_weight': 0})
    inputs, samples = tiny_batch(4)
    for i in masks:
        mask = torch.zeros(1, 33, 33, dtype=torch.int64)
        samples[i].gt_sem_seg = PixelData(data=mask)
    seen = []
    main_cams = model.main_cams

    def recorded(*args):
        seen.append(args[0])
        return main_cams(*args)

    monkeypatch.setattr(model, 'main_cams', recorded)
    model.loss(inputs, samples)
    assert torch.equal(seen[0], inputs[list(rows)])


def test_weights_of_zero_leave_a_module_out():
    no_rcm = {'type': 'RegionalContrastiveLoss', 'loss_weight': 0.0}
    no_mam = {'type': 'MultiScaleAttentiveLoss', 'loss_weight': 0.0}
    keys = [
        {key for key in losses_of(build(**settings)) if key.startswith('loss')}
        for settings in (
            {'loss_mam': no_mam},
            {'loss_rcm': no_rcm},
            {'loss_rcm': no_rcm, 'loss_mam': no_mam},
        )
    ]
    always = {'loss_cls', 'loss_idle'}
    assert keys == [always | {'loss_rcm'}, always | {'loss_mam'}, always]


@pytest.mark.parametrize(
    ('settings', 'changed'),
    [
        ({'region_thr': 0.6}, 'loss_rcm'),
        ({'ignore_bg': True}, 'loss_rcm'),
        ({'memory_size': 0}, 'loss_rcm'),
        ({'mam_normalize': True}, 'loss_mam'),
        ({'mam_ratio': 1.0}, 'loss_mam'),
        ({'main_scales': (1.0,)}, 'loss_mam'),
        ({'support_scales': (1.0, 1.5)}, 'loss_mam'),
    ],
)
def test_options_change_their_own_loss(settings, changed):
    plain, other = losses_of(build()), losses_of(build(**settings))
    names = {n for n in plain if 'loss' in n and plain[n] != other[n]}
    assert names == {changed, *(('loss_rcm',) if 'support_scales' in settings else ())}


def test_an_own_forward_has_another_dropout():
    backbone = tiny_model('RCMMAM')['backbone'] | {'norm_eval': True}
    values = []
    for own in (False, True):
        model = build(mam_own_forward=own, main_scales=(1.0,), backbone=backbone)
        model.backbone.register_forward_hook(
            lambda module, _, out: tuple(F.dropout(f, 0.5) for f in out)
        )
        torch.manual_seed(1)
        values.append(losses_of(model)['loss_mam'])
    assert values[0] != values[1]


@pytest.mark.parametrize('ignore', [False, True])
def test_padding_is_background_unless_left_out(ignore):
    inputs, samples = tiny_batch(2, tags=((0, 3), (0, 1)))
    samples[0].valid_map.data[:, 16:] = False
    model = build(mask_padding=ignore)
    seen = []
    model.loss_rcm.register_forward_hook(lambda _, args, __: seen.append(args[2]))
    losses = model.loss(inputs, samples)
    (region,) = seen
    assert region[0, 16:].eq(255).all() == ignore
    assert not region[0, :16].eq(255).any()
    assert not region[1].eq(255).any()
    assert losses['loss_rcm'] > 0


def test_the_support_network_starts_as_a_copy_and_stays_in_eval_mode():
    model = tiny_network('RCMMAM')
    main = model.networks['main'].state_dict()
    support = model.networks['support'].state_dict()
    assert main.keys() == support.keys()
    assert all(torch.equal(main[key], support[key]) for key in main)
    assert model.backbone.training
    assert not any(module.training for module in model.support.modules())
    assert not any(p.requires_grad for p in model.support.parameters())


def test_a_step_moves_the_support_network(tmp_path):
    """``0.996 * support + 0.004 * main``, after the optimizer's step."""
    voc = write_tiny_voc(tmp_path / 'voc')
    cfg = tiny_config('RCMMAM', voc, tmp_path / 'run', 1)
    cfg.custom_hooks[-1].decay = 0.996
    cfg.custom_hooks[2].iters = 0
    cfg.default_hooks.checkpoint.interval = 1
    cfg.load_from = str(tmp_path / 'start.pth')
    start = tiny_network('RCMMAM', seed=3)
    save_checkpoint({'state_dict': start.state_dict()}, cfg.load_from)
    begin = {k: v.clone() for k, v in start.state_dict().items()}
    end = train(cfg).state
    moved = 0
    for key, value in begin.items():
        if key.startswith('support.') and value.is_floating_point():
            main = end[f'model.{key.removeprefix("support.")}']
            expected = 0.996 * value + 0.004 * main
            torch.testing.assert_close(end[f'model.{key}'], expected)
            moved += int(not torch.equal(expected, value))
    assert moved


def test_a_classifier_fills_both_networks(tmp_path):
    plain = tiny_network('CAM', seed=5)
    path = tmp_path / 'cam.pth'
    save_checkpoint({'state_dict': plain.state_dict()}, str(path))
    model = tiny_network('RCMMAM')
    load_checkpoint(model, str(path), strict=False)
    weight = plain.cam_head.classifier.weight
    assert torch.equal(model.cam_head.classifier.weight, weight)
    assert torch.equal(model.support['cam_head'].classifier.weight, weight)


def test_a_checkpoint_of_phase_1_fills_each_network_with_its_own(tmp_path):
    first = build()
    path = tmp_path / 'phase1.pth'
    losses_of(first)  # fills the memory
    save_checkpoint({'state_dict': first.state_dict()}, str(path))
    second = build()
    load_checkpoint(second, str(path), strict=True)
    for key, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[key], value), key
    assert second.memory.queue.abs().sum() > 0


def test_a_lone_image_learns_from_those_before_it():
    """On one device and with one image a step, the memory holds the others."""
    model = build()
    inputs, samples = tiny_batch(1)
    first = model.loss(inputs, samples)['loss_rcm']
    assert model.memory.queue.abs().sum() > 0
    second = model.loss(inputs, samples)['loss_rcm']
    assert first.item() == pytest.approx(math.log(NUM_TAGS + 1))
    assert second < first
    second.backward()
    assert model.cam_head.embedding.weight.grad.abs().sum() > 0


def test_regions_are_exported_with_the_background_first():
    model = build().eval()
    inputs, samples = tiny_batch(1, tags=((2,),))
    ((label, prob),) = [
        result['region'] for result in model.pseudo_labels(inputs, samples, ['region'])
    ]
    assert set(label.unique().tolist()) == {0, 3}
    region = torch.tensor([[[NUM_TAGS, 2, 255]]])
    assert model.background_first(region).tolist() == [[[0, 3, 255]]]
    assert prob.shape == (NUM_TAGS + 1, 33, 33)
    assert prob[3].amax() == pytest.approx(1, abs=1e-3)


def test_the_hook_switches_the_second_module_on():
    runner = SimpleNamespace(model=build())
    hook = MultiScaleAttentionHook(begin=2)
    for runner.iter, expected in enumerate([False, False, True, True]):
        hook.before_train_iter(runner, 0)
        assert runner.model.use_mam is expected
    with pytest.raises(ValueError, match='begin must be at least 0, got -1'):
        MultiScaleAttentionHook(begin=-1)


def test_the_hook_restarts_the_support_network_once():
    model = build()
    runner = SimpleNamespace(model=model)
    hook = MultiScaleAttentionHook(begin=2, restart_support=True)
    for runner.iter in (1, 2, 3):
        with torch.no_grad():
            for parameter in model.support.parameters():
                parameter += 0.1
            model.memory.queue.fill_(1.0)
        hook.before_train_iter(runner, 0)
        pairs = zip(
            model.networks['main'].state_dict().values(),
            model.support.state_dict().values(),
        )
        anew = all(torch.equal(main, support) for main, support in pairs)
        assert anew == (runner.iter == 2)
        assert (model.memory.queue.abs().sum() == 0) == anew
    without_memory = build(memory_size=0)
    without_memory.restart_support()
    assert not any(p.requires_grad for p in without_memory.support.parameters())


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'support_scales': (0.5, 2.0)}, 'must hold 1, got'),
        ({'mam_ratio': 0.0}, 'mam_ratio must be above 0, got 0'),
        ({'region_thr': 0.0}, 'region_thr must be above 0, got 0'),
        ({'background': False}, 'needs a background class'),
    ],
)
def test_settings_that_have_no_meaning(settings, message):
    cfg = Config(tiny_model('RCMMAM'))
    cfg.merge_from_dict(settings)
    with pytest.raises(ValueError, match=message):
        MODELS.build(cfg._cfg_dict)
