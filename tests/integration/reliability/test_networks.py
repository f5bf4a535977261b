"""Networks of users' configs, as the network of a method."""

from importlib.metadata import packages_distributions

import pytest
import torch
from helpers.methods import HEAD, METHODS, NUM_TAGS
from helpers.tiny import (
    CROP,
    set_phase,
    tiny_batch,
    tiny_model,
    tiny_network,
)
from helpers.torchvision_stub import stub_torchvision

from mmseg_wsss.models.utils import compiled_ops

BOTTLENECKS = {
    'type': 'ResNetV1c',
    'depth': 50,
    'base_channels': 4,
    'stem_channels': 8,
    'num_stages': 2,
    'strides': (1, 2),
    'dilations': (1, 1),
    'out_indices': (0, 1),
    'norm_cfg': {'type': 'BN'},
    'dcn': {'type': 'DCNv2', 'deform_groups': 1, 'fallback_on_stride': False},
    'stage_with_dcn': (False, True),
}
TRANSFORMER = {
    'type': 'MixVisionTransformer',
    'embed_dims': 8,
    'num_stages': 2,
    'num_layers': [1, 1],
    'num_heads': [1, 2],
    'patch_sizes': [7, 3],
    'strides': [4, 2],
    'sr_ratios': [2, 1],
    'out_indices': (0, 1),
    'drop_rate': 0.1,
    'drop_path_rate': 0.1,
}
FCN = {
    'type': 'FCNHead',
    'in_channels': 16,
    'channels': 8,
    'num_convs': 1,
    'num_classes': NUM_TAGS + 1,
    'align_corners': False,
}
CRISS_CROSS = FCN | {'type': 'CCHead'}
del CRISS_CROSS['num_convs']
POINTWISE_ATTENTION = CRISS_CROSS | {'type': 'PSAHead', 'mask_size': (5, 5)}
POINTS = CRISS_CROSS | {
    'type': 'PointHead',
    'in_channels': [16],
    'in_index': [1],
    'num_fcs': 2,
    'dropout_ratio': -1,
}
NETWORKS = {
    'deformable convolution': {
        'backbone': BOTTLENECKS,
        'cam_head': {'type': 'CAMHead', 'in_channels': 32, 'num_classes': NUM_TAGS},
        'decode_head': HEAD | {'in_channels': 32},
        'teacher_head': HEAD | {'in_channels': 32},
    },
    'criss-cross attention': {'decode_head': CRISS_CROSS},
    'pointwise attention': {'decode_head': POINTWISE_ATTENTION},
    'points': {
        'decode_head': [FCN, POINTS],
        'train_cfg': {
            'num_points': 20,
            'oversample_ratio': 3,
            'importance_sample_ratio': 0.75,
        },
        'test_cfg': {
            'mode': 'whole',
            'subdivision_steps': 2,
            'subdivision_num_points': 30,
            'scale_factor': 2,
        },
    },
}
TWO_LEVELS = FCN | {
    'in_channels': [16, 16],
    'in_index': [0, 1],
    'input_transform': 'resize_concat',
}
PLAIN_NETWORKS = {
    'auxiliary head': {
        'auxiliary_head': FCN
        | {
            'in_channels': 8,
            'in_index': 0,
            'loss_decode': {'type': 'BalancedCrossEntropyLoss'},
        }
    },
    'transformer': {'backbone': TRANSFORMER},
    'neck': {
        'neck': {
            'type': 'FPN',
            'in_channels': [8, 16],
            'out_channels': 16,
            'num_outs': 2,
        },
        'decode_head': TWO_LEVELS,
    },
}


def train_and_predict(model: torch.nn.Module, phases: tuple) -> None:
    """A step of each phase that moves every part, and a prediction."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for phase in phases:
        set_phase(model, phase)
        optimizer.zero_grad()
        losses = model.loss(*tiny_batch(2))
        model.parse_losses(losses)[0].backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, f'{phase}: {name}'
            assert torch.isfinite(parameter.grad).all(), f'{phase}: {name}'
        optimizer.step()
    for part in ('cam_head', 'decode_head', 'teacher_head', 'refine_head'):
        module = getattr(model, part, None)
        if module is not None:
            assert any(p.grad.abs().sum() > 0 for p in module.parameters()), part
    model.eval()
    with torch.no_grad():
        for result in model.predict(*tiny_batch(2)):
            assert result.pred_sem_seg.shape == CROP
            assert torch.isfinite(result.seg_logits.data).all()


@pytest.mark.extras
@pytest.mark.skipif(
    not compiled_ops.ops_available(),
    reason='mmcv has no compiled ops here (make env-ops adds them)',
)
@pytest.mark.parametrize('network', NETWORKS)
def test_networks_with_compiled_ops(network):
    settings = NETWORKS[network]
    if 'train_cfg' in settings:
        cam = tiny_model('ASDT')['train_cfg']
        settings = settings | {'train_cfg': cam | settings['train_cfg']}
    model = tiny_network('ASDT', **settings)
    train_and_predict(model, METHODS['ASDT'].phases)


@pytest.mark.parametrize('network', PLAIN_NETWORKS)
def test_networks_without_compiled_ops(network):
    model = tiny_network('ASDT', **PLAIN_NETWORKS[network])
    if network == 'neck':
        assert isinstance(model.neck, torch.nn.Module)
    train_and_predict(model, METHODS['ASDT'].phases)


@pytest.mark.parametrize(
    ('network', 'part'),
    zip(NETWORKS, ('DCNv2', 'CCHead', 'PSAHead', 'PointHead'), strict=True),
)
def test_missing_ops_are_named_with_the_remedy(network, part, monkeypatch):
    monkeypatch.setattr(compiled_ops, 'ops_available', lambda: False)
    with pytest.raises(RuntimeError, match=f'{part} needs .*`make env-ops`'):
        tiny_network('ASDT', **NETWORKS[network])


def test_a_backbone_of_mmpretrain(monkeypatch):
    if 'mmpretrain' not in packages_distributions():
        pytest.skip('mmpretrain is not installed')
    stub_torchvision(monkeypatch)
    import mmpretrain.models  # noqa: F401

    backbone = {
        'type': 'mmpretrain.ConvNeXt',
        'arch': {'depths': [1, 1, 1, 1], 'channels': [8, 16, 16, 16]},
        'out_indices': (3,),
        'gap_before_final_norm': False,
        'drop_path_rate': 0.1,
    }
    # At half the size its last map would have no pixel left.
    train_cfg = {'cam': {'scales': (1.0,)}}
    model = tiny_network('ASDT', backbone=backbone, train_cfg=train_cfg)
    train_and_predict(model, METHODS['ASDT'].phases)
