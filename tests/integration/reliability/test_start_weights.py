"""All ranks start from the same weights, wherever these come from."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import run_processes
from helpers.tiny import tiny_config, tiny_model, tiny_network
from helpers.torchvision_stub import stub_torchvision
from helpers.training import train
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint

from mmseg_wsss.engine.launch import prepare
from mmseg_wsss.models.utils import unwrap

WAYS = ('random', 'init_cfg', 'load_from', 'by hand')
# Of a method: teachers with their students, in order of the networks.
STUDENTS = {
    'MKD': {'teacher1': 'student1', 'teacher2': 'student2'},
    'UniMatchV2': {'teacher': 'student'},
    'RCMMAM': {'support': ''},
}
DINOV2 = {
    'type': 'mmpretrain.VisionTransformer',
    'arch': {
        'embed_dims': 16,
        'num_layers': 2,
        'num_heads': 2,
        'feedforward_channels': 16,
    },
    'img_size': 28,
    'patch_size': 14,
    'layer_scale_init_value': 1e-5,
    'out_type': 'featmap',
    'out_indices': (0, 1),
}
SETTINGS = {'UniMatchV2': {'backbone': DINOV2}}


class Start(Hook):
    """Loads a checkpoint by hand, if there is one, and keeps the first weights."""

    def __init__(self, checkpoint: str = '') -> None:
        self.checkpoint = checkpoint

    def before_train(self, runner: Any) -> None:
        if self.checkpoint:
            load_checkpoint(unwrap(runner.model), self.checkpoint, logger='silent')

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any) -> None:
        state = unwrap(runner.model).state_dict()
        self.state = {key: value.clone() for key, value in state.items()}


def start(rank: int, method: str, way: str, root: str, folder: str) -> dict:
    """Return the weights from which a rank starts; each rank has its own seed."""
    if method in SETTINGS:
        stub_torchvision(pytest.MonkeyPatch())
    init_default_scope('mmseg')
    model = tiny_model(method, **SETTINGS.get(method, {}))
    cfg = tiny_config(method, Path(root), Path(folder, 'work'), 1, model=model)
    cfg.randomness.diff_rank_seed = True
    cfg.launcher = 'pytorch'
    checkpoint = str(Path(folder, 'net.pth'))
    hook = Start()
    if way == 'init_cfg':
        init = {'type': 'Pretrained', 'checkpoint': checkpoint, 'prefix': 'backbone.'}
        cfg.model.get('segmentor', cfg.model).backbone.init_cfg = init
    elif way == 'load_from':
        cfg.load_from = checkpoint
    elif way == 'by hand':
        hook = Start(checkpoint)
    prepare(cfg)
    train(cfg, hook)
    return hook.state


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('method', STUDENTS)
def test_ranks_start_alike(method, way, tiny_voc, tmp_path, monkeypatch):
    if method in SETTINGS:
        stub_torchvision(monkeypatch)
    plain = plain_state(method)
    torch.save({'state_dict': plain}, tmp_path / 'net.pth')
    args = method, way, str(tiny_voc), str(tmp_path)
    first, second = run_processes(start, 2, args, timeout=300)
    assert differing(first, second) == []

    given = {'random': (), 'init_cfg': ('backbone.',)}.get(way, ('',))
    loaded = {key: value for key, value in plain.items() if key.startswith(given)}
    for teacher, student in STUDENTS[method].items():
        weights = part(first, student) if student else first
        of_teacher = part(first, teacher)
        assert of_teacher
        assert differing(of_teacher, weights) == []
        assert differing(loaded, weights) == []
    if method == 'MKD':  # without given weights the students differ
        ones, others = part(first, 'student1'), part(first, 'student2')
        different = {key.split('.')[0] for key in differing(ones, others)}
        assert ('backbone' in different) == (way == 'random')
        assert ('decode_head' in different) == (way in ('random', 'init_cfg'))


def plain_state(method: str) -> dict[str, torch.Tensor]:
    """State of a network as mmseg saves it, from other random numbers."""
    model = tiny_network(method, seed=7, **SETTINGS.get(method, {}))
    (student, *_) = STUDENTS[method].values()
    state = part(model.state_dict(), student) if student else model.state_dict()
    heads = 'backbone.', 'cam_head.', 'decode_head.'
    return {key: value for key, value in state.items() if key.startswith(heads)}


def part(state: dict, prefix: str) -> dict[str, torch.Tensor]:
    """Entries of a network, without its prefix."""
    begin = f'{prefix}.'
    return {k.removeprefix(begin): v for k, v in state.items() if k.startswith(begin)}


def differing(some: dict, others: dict) -> list[str]:
    """Names of the first that are missing in the second, or have other values."""
    return [
        k for k, v in some.items() if k not in others or not torch.equal(v, others[k])
    ]
