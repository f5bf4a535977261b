"""WideResNet38: layout, what is frozen, gradients, odd input."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules
from torch import nn

from mmseg_wsss.models.backbones import WideResNet38
from mmseg_wsss.registry import MODELS


def tiny(**kwargs) -> WideResNet38:
    """A trunk with 128 instead of 4096 channels and lively norms."""
    torch.manual_seed(0)
    model = WideResNet38(base_channels=2, **kwargs)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.4, 0.8)
            nn.init.uniform_(module.bias, -0.2, 0.4)
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.8, 1.5)
    return model


def bn_relu(state, name, x):
    mean, var, weight, bias = (
        state[f'{name}.{key}'][:, None, None]
        for key in ('running_mean', 'running_var', 'weight', 'bias')
    )
    return ((x - mean) / (var + 1e-5).sqrt() * weight + bias).clamp(min=0)


# Block: stride and dilation of the convolutions named in the published weights.
LAYOUT = {
    **{f'b{n}': (2, 1, 1) for n in (2, 3, 4)},
    **{f'b{n}_{i}': (1, 1, 1) for n, i in ((2, 1), (2, 2), (3, 1), (3, 2))},
    **{f'b4_{i}': (1, 1, 1) for i in range(1, 6)},
    'b5': (1, 1, 2),
    'b5_1': (1, 2, 2),
    'b5_2': (1, 2, 2),
    'b6': (1, 1, 4),
    'b7': (1, 1, 4),
}


def reference_forward(state, img):
    """The network from the state dict alone; also activated inputs of the blocks."""
    x = F.conv2d(img, state['conv1a.weight'], padding=1)
    activated = {}
    for name in sorted(LAYOUT):
        stride, first, second = LAYOUT[name]
        weights = {
            key.split('.')[1]: value
            for key, value in state.items()
            if key.startswith(f'{name}.conv')
        }
        a = activated[name] = bn_relu(state, f'{name}.bn_branch2a', x)
        pad = first if weights['conv_branch2a'].shape[-1] == 3 else 0
        y = F.conv2d(a, weights['conv_branch2a'], None, stride, pad, first)
        y = bn_relu(state, f'{name}.bn_branch2b1', y)
        y = F.conv2d(y, weights['conv_branch2b1'], None, 1, second, second)
        if 'conv_branch2b2' in weights:
            y = bn_relu(state, f'{name}.bn_branch2b2', y)
            y = F.conv2d(y, weights['conv_branch2b2'])
        if 'conv_branch1' in weights:
            x = F.conv2d(a, weights['conv_branch1'], None, stride)
        x = x + y
    return bn_relu(state, 'bn7', x), activated


@pytest.mark.parametrize('size', [(1, 1), (33, 50)])
def test_forward_against_the_state_dict_alone(size):
    model = tiny(out_indices=(0, 1, 2, 3, 4, 5)).double().eval()
    img = torch.randn(1, 3, *size, dtype=torch.float64)
    last, activated = reference_forward(model.state_dict(), img)
    expected = [activated[name] for name in ('b3', 'b4', 'b5', 'b6', 'b7')] + [last]
    outs = model(img)
    assert len(outs) == 6
    for out, reference in zip(outs, expected):
        assert (out >= 0).all()
        assert out.sum() > 0
        torch.testing.assert_close(out, reference)


def test_real_layout():
    with torch.device('meta'):
        model = MODELS.build(
            {'type': 'WideResNet38', 'out_indices': (0, 1, 2, 3, 4, 5)}
        )
        shapes = [tuple(out.shape) for out in model(torch.empty(4, 3, 321, 321))]
    assert shapes == [
        (4, 128, 161, 161),
        (4, 256, 81, 81),
        (4, 512, 41, 41),
        (4, 1024, 41, 41),
        (4, 2048, 41, 41),
        (4, 4096, 41, 41),
    ]
    assert model.out_channels == (128, 256, 512, 1024, 2048, 4096)
    # Thirty-eight layers with weights: all but the shortcuts, and the classifier.
    convs = [name for name, m in model.named_modules() if isinstance(m, nn.Conv2d)]
    assert len([name for name in convs if 'branch1' not in name]) + 1 == 38
    shape = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert shape['b6.conv_branch2a.weight'] == (512, 1024, 1, 1)
    assert shape['b6.conv_branch2b1.weight'] == (1024, 512, 3, 3)
    assert shape['b7.conv_branch2b1.weight'] == (2048, 1024, 3, 3)
    assert shape['b7.conv_branch2b2.weight'] == (4096, 2048, 1, 1)
    assert shape['b5.conv_branch2b1.weight'] == (1024, 512, 3, 3)
    assert shape['b5_2.conv_branch2a.weight'] == (512, 1024, 3, 3)
    assert [model.b6.dropout_2b1.p, model.b7.dropout_2b2.p] == [0.3, 0.5]


def test_a_step_leaves_norms_and_trains_the_rest():
    model = tiny().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], 1e-3, weight_decay=0.1
    )
    model(torch.randn(2, 3, 33, 33))[0].mean().backward()
    assert model.conv1a.weight.grad.abs().sum() > 0
    optimizer.step()
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]) == ('bn' in key), key


def test_norm_eval_off_trains_the_norms():
    model = tiny(norm_eval=False, out_indices=(2, 5)).train()
    before = model.b5.bn_branch2a.running_mean.clone()
    outs = model(torch.randn(2, 3, 17, 17))
    sum(out.mean() for out in outs).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert not torch.equal(model.b5.bn_branch2a.running_mean, before)
    # Seen once, although the norm serves the next block and output 2.
    assert model.b5.bn_branch2a.num_batches_tracked == 1


def test_frozen_stages_of_psa():
    model = tiny(frozen_stages=('conv1a', 'b2'), norm_eval=False).train()
    model(torch.randn(2, 3, 17, 17))[0].mean().backward()
    frozen = {name for name, p in model.named_parameters() if p.grad is None}
    expected = {
        name
        for name, _ in model.named_parameters()
        if name.split('.')[0] in ('conv1a', 'b2', 'b2_1', 'b2_2')
    }
    assert frozen == expected
    assert model.b2_1.bn_branch2a.num_batches_tracked == 0
    assert model.b3.bn_branch2a.num_batches_tracked == 1


def test_train_and_eval_modes():
    model = tiny()
    img = torch.randn(1, 3, 17, 17)
    model.train()
    assert not torch.equal(model(img)[0], model(img)[0])
    model.eval()
    assert torch.equal(model(img)[0], model(img)[0])
    still = tiny(dropout=(0.0, 0.0)).train()
    assert torch.equal(still(img)[0], still.eval()(img)[0])


def test_checkpointing_changes_nothing():
    img = torch.randn(1, 3, 21, 17)
    grads = []
    for with_cp in (False, True):
        model = tiny(with_cp=with_cp, out_indices=(3, 5)).train()
        torch.manual_seed(1)
        sum(out.square().mean() for out in model(img)).backward()
        grads.append([p.grad for p in model.parameters() if p.requires_grad])
    for plain, recomputed in zip(*grads):
        torch.testing.assert_close(recomputed, plain)


def test_bf16_is_close():
    model = tiny().eval()
    img = torch.randn(1, 3, 33, 33)
    with torch.autocast('cpu', torch.bfloat16):
        out = model(img)[0].float()
    reference = model(img)[0]
    assert (out - reference).norm() < 0.03 * reference.norm()


def test_default_initialization_is_finite():
    torch.manual_seed(0)
    model = WideResNet38(base_channels=2)
    model.init_weights()
    out = model(torch.randn(1, 3, 33, 33))[0]
    assert out.isfinite().all()
    assert out.std() > 0


def test_trains_and_predicts_in_an_encoder_decoder():
    register_all_modules(init_default_scope=True)
    torch.manual_seed(0)
    head = {
        'type': 'LargeFOVHead',
        'in_channels': 64,
        'channels': 8,
        'num_classes': 3,
        'loss_decode': {'type': 'CrossEntropyLoss', 'avg_non_ignore': True},
    }
    model = MODELS.build(
        {
            'type': 'EncoderDecoder',
            'data_preprocessor': {'type': 'SegDataPreProcessor', 'size': (33, 41)},
            'backbone': {'type': 'WideResNet38', 'base_channels': 1},
            'decode_head': head,
            'train_cfg': {},
            'test_cfg': ConfigDict(mode='whole'),
        }
    )
    model.init_weights()
    label = PixelData(data=torch.randint(0, 3, (1, 33, 41)))
    shape = {'img_shape': (33, 41), 'ori_shape': (33, 41)}
    sample = SegDataSample(gt_sem_seg=label, metainfo=shape)
    data = {'inputs': [torch.rand(3, 33, 41)], 'data_samples': [sample]}
    batch = model.data_preprocessor(data, training=True)
    model.train().loss(**batch)['decode.loss_ce'].backward()
    assert model.backbone.conv1a.weight.grad.abs().sum() > 0
    with torch.no_grad():
        (result,) = model.eval().predict(**batch)
    assert result.pred_sem_seg.data.shape == (1, 33, 41)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        ({'out_indices': (0, 4)}, r'end with 5, got \(0, 4\)'),
        ({'out_indices': (5, 5)}, 'ascend'),
        ({'out_indices': ()}, 'end with 5'),
        ({'dropout': (0.3, 1.0)}, r'\[0, 1\), for b6 and b7, got \(0.3, 1.0\)'),
        ({'dropout': (0.3,)}, 'two probabilities'),
        ({'frozen_stages': ('b8',)}, r"among .*'b7'.*got \('b8',\)"),
        ({'frozen_stages': 'b2'}, "list of names .* got 'b2'"),
        ({'base_channels': 0}, 'at least 1, got 0'),
    ],
)
def test_bad_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        WideResNet38(**{'base_channels': 1, **wrong})
