"""Published weights of the Mix Transformer: files of SegFormer and mmseg."""

import os
import re
from collections.abc import Mapping

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from ..utils import check_state, read_state_dict
from .pretrained_files import one_backbone

PUBLISHED_KEY = 'patch_embed1.proj.weight'
OWN_KEY = 'layers.0.0.projection.weight'
# SegFormer's names on the left; stage and block numbers are filled in.
_EMBED = {'proj': '0.projection', 'norm': '0.norm'}
_BLOCK = {
    'norm1': 'norm1',
    'norm2': 'norm2',
    'attn.proj': 'attn.attn.out_proj',
    'attn.sr': 'attn.sr',
    'attn.norm': 'attn.norm',
    'mlp.fc1': 'ffn.layers.0',
    'mlp.dwconv.dwconv': 'ffn.layers.1',
    'mlp.fc2': 'ffn.layers.4',
}
_NAME = re.compile(
    r'(?:patch_embed(?P<embed>\d)\.(?P<part>\w+)'
    r'|block(?P<stage>\d)\.(?P<block>\d+)\.(?P<module>[\w.]+)'
    r'|norm(?P<norm>\d))\.(?P<leaf>weight|bias)'
)


def convert_mit(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert names and shapes of SegFormer to mmseg's ``MixVisionTransformer``.

    Query and key-value projections become one matrix, and linear layers of the
    feed-forward part become 1x1 convolutions. The ImageNet classifier is left out.

    Args:
        state: Tensors of a published file (``mit_b0.pth`` to ``mit_b5.pth``).

    Returns:
        Tensors by key of ``MixVisionTransformer``.
    """
    result: dict[str, Tensor] = {}
    for name, value in state.items():
        if not (match := _NAME.fullmatch(name)):
            continue
        leaf = match['leaf']
        if match['norm']:
            result[f'layers.{int(match["norm"]) - 1}.2.{leaf}'] = value
        elif match['embed'] and match['part'] in _EMBED:
            stage = int(match['embed']) - 1
            result[f'layers.{stage}.{_EMBED[match["part"]]}.{leaf}'] = value
        elif match['module']:
            block = f'layers.{int(match["stage"]) - 1}.1.{match["block"]}'
            module = match['module']
            if module == 'attn.q':
                keys = state[name.replace('.q.', '.kv.')]
                result[f'{block}.attn.attn.in_proj_{leaf}'] = torch.cat([value, keys])
            elif module in _BLOCK:
                if module in ('mlp.fc1', 'mlp.fc2') and leaf == 'weight':
                    value = value[:, :, None, None]
                result[f'{block}.{_BLOCK[module]}.{leaf}'] = value
    return result


def load_mit(
    module: nn.Module, path: str | os.PathLike, prefix: str | None = None
) -> None:
    """Load a file into a Mix Transformer.

    Args:
        module: The network.
        path: SegFormer's published file, mmseg's, or a checkpoint of a segmentor.
        prefix: See :func:`.one_backbone`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it contains no Mix Transformer, several, or one of another size.
    """
    state = read_state_dict(path, 'weights of a Mix Transformer')
    first_keys = PUBLISHED_KEY, OWN_KEY
    state = one_backbone(state, first_keys, 'Mix Transformer', path, prefix)
    if PUBLISHED_KEY in state:
        state = convert_mit(state)
    check_state(state, module, path)
    module.load_state_dict(state, strict=False)
    print_log(f'Loaded {type(module).__name__} from {path}', logger='current')
