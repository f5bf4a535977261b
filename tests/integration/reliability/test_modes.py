"""Ways to train and to evaluate that a config chooses."""

from copy import deepcopy

import pytest
import torch
from helpers.methods import BACKBONE, METHODS, SEMI, WEAK
from helpers.tiny import (
    CROP,
    batch_of,
    set_phase,
    tiny_batch,
    tiny_config,
    tiny_network,
)
from helpers.training import evaluate, train
from mmengine.hooks import Hook
from mmengine.runner import load_checkpoint
from torch._dynamo.utils import counters

from mmseg_wsss.engine.checkpoints import safe_checkpoints

# Two of each kind, for time; test_launches.py counts the graphs of some more.
COMPILED = ('ASDT', 'RCMMAM', 'UniMatch', 'MKD')


class Watch(Hook):
    """Notes the weights after each iteration, and keeps the model."""

    def __init__(self) -> None:
        self.weights: list[torch.Tensor] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.model = runner.model
        parameters = [p.detach().view(-1) for p in runner.model.parameters()]
        self.weights.append(torch.cat(parameters).clone())


@safe_checkpoints()
@pytest.mark.parametrize('method', SEMI)
def test_a_checkpoint_restores_every_network(method, tiny_voc, tmp_path):
    watch = Watch()
    train(tiny_config(method, tiny_voc, tmp_path, 2), watch)
    copy = tiny_network(method, seed=1)
    load_checkpoint(copy, str(tmp_path / 'iter_2.pth'), strict=True)
    inputs, samples = tiny_batch(2)
    for name in (*copy.networks, 'ensemble'):
        results = []
        for model in (watch.model.eval(), copy.eval()):
            model.predict_on = name
            with torch.no_grad():
                results.append(model.predict(inputs, deepcopy(samples)))
        for first, second in zip(*results):
            assert torch.equal(first.seg_logits.data, second.seg_logits.data), name


@safe_checkpoints()
@pytest.mark.parametrize('method', WEAK)
def test_a_checkpoint_restores_every_prediction(method, tiny_voc, tmp_path):
    watch = Watch()
    train(tiny_config(method, tiny_voc, tmp_path, 2), watch)
    copy = tiny_network(method, seed=1)
    load_checkpoint(copy, str(tmp_path / 'iter_2.pth'), strict=True)
    batch = tiny_batch(2)
    sources = METHODS[method].pseudo_sources
    with torch.no_grad():
        maps, again = [
            model.pseudo_labels(*batch, sources)
            for model in (watch.model.eval(), copy.eval())
        ]
    for first, second in zip(maps, again):
        for source in sources:
            assert torch.equal(first[source][0], second[source][0])
            assert torch.equal(first[source][1], second[source][1])


@pytest.mark.parametrize('method', METHODS)
def test_gradients_accumulate(method, tiny_voc, tmp_path):
    def cfg(folder, end, **settings):
        cfg = tiny_config(method, tiny_voc, tmp_path / folder, end, **settings)
        cfg.optim_wrapper.accumulative_counts = 2
        return cfg

    watch = Watch()
    whole = train(cfg('whole', 4), watch)
    changes = [not torch.equal(a, b) for a, b in zip(watch.weights, watch.weights[1:])]
    assert changes == [True, False, True]
    train(cfg('half', 4), until=2)
    assert not train(cfg('half', 4, resume=True)).difference(whole)


@pytest.mark.parametrize('method', METHODS)
def test_half_precision_changes_losses_little(method):
    backbone = BACKBONE | {'norm_eval': True}
    model = tiny_network(method, drop=False, backbone=backbone)
    batch = batch_of(method, num=2, tags=((0, 3), (1,)))
    for phase in METHODS[method].phases:
        set_phase(model, phase)
        torch.manual_seed(0)
        expected = model.loss(*batch)
        torch.manual_seed(0)
        with torch.autocast('cpu', torch.bfloat16):
            losses = model.loss(*batch)
        for name, value in expected.items():
            assert losses[name].dtype == torch.float32, name
            close = pytest.approx(value.item(), rel=0.05, abs=1e-3)
            assert losses[name].item() == close, f'{phase}: {name}'


@pytest.mark.parametrize('method', COMPILED)
def test_compiling_changes_nothing(method, tiny_voc, tmp_path):
    plain = train(tiny_config(method, tiny_voc, tmp_path / 'plain', 3))
    cfg = tiny_config(method, tiny_voc, tmp_path / 'compiled', 3)
    cfg.compile = {'backend': 'eager'}
    # The methods share the code of a step, which is compiled a few times at most.
    torch.compiler.reset()
    counters.clear()
    compiled = train(cfg)
    assert counters['stats']['unique_graphs'] > 0
    assert list(compiled.losses) == list(plain.losses)
    for iteration, logs in plain.losses.items():
        # Shares of pixels jump where two classes have all but the same score.
        losses = {name: value for name, value in logs.items() if 'loss' in name}
        found = {name: compiled.losses[iteration][name] for name in losses}
        assert found == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize('method', METHODS)
def test_slide_inference_covers_the_image(method):
    slide = {'mode': 'slide', 'crop_size': CROP, 'stride': (9, 9)}
    model = tiny_network(method, test_cfg=slide).eval()
    inputs, samples = tiny_batch(1, (37, 51))
    with torch.no_grad():
        (result,) = model.predict(inputs, samples)
        inputs, samples = tiny_batch(1, CROP)
        (slid,) = model.predict(inputs, samples)
        semi = METHODS[method].semi
        for net in model.networks.values() if semi else [model]:
            net.test_cfg.mode = 'whole'
        (whole,) = model.predict(inputs, samples)
    assert result.pred_sem_seg.shape == (37, 51)
    torch.testing.assert_close(slid.seg_logits.data, whole.seg_logits.data)


@pytest.mark.parametrize('method', METHODS)
def test_evaluation_at_several_scales_with_crf(method, tiny_voc, tmp_path):
    cfg = tiny_config(method, tiny_voc, tmp_path)
    crf = {'type': 'DenseCRF', 'num_iters': 1}
    cfg.model = {'type': 'WSSSTTAModel', 'module': cfg.model, 'crf': crf}
    resize = [
        {'type': 'Resize', 'scale_factor': s, 'keep_ratio': True} for s in (1.0, 2.0)
    ]
    flip = [{'type': 'RandomFlip', 'prob': p} for p in (0.0, 1.0)]
    load, truth, pack = cfg.test_dataloader.dataset.pipeline
    views = {'type': 'TestTimeAug', 'transforms': [resize, flip, [truth], [pack]]}
    cfg.test_dataloader.dataset.pipeline = [load, views]
    metrics = evaluate(cfg)
    assert 0 <= metrics['mIoU'] <= 100
