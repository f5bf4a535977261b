"""SegFormer's published files of the Mix Transformer."""

import re

import pytest
import torch
from mmseg.models.backbones import MixVisionTransformer

from mmseg_wsss.models.backbones import AttentionMiT

SIZES = {
    'embed_dims': 8,
    'num_stages': 4,
    'num_layers': [2, 1, 1, 2],
    'num_heads': [1, 2, 5, 8],
    'strides': [4, 2, 2, 1],
}


def published(model: MixVisionTransformer) -> dict[str, torch.Tensor]:
    """The weights of mmseg's network as SegFormer's files store them."""
    state = {'head.weight': torch.zeros(10, 64), 'head.bias': torch.zeros(10)}
    for key, value in model.state_dict().items():
        stage, part, rest = re.fullmatch(r'layers\.(\d)\.(\d)\.(.+)', key).groups()
        number = int(stage) + 1
        if part == '0':
            state[f'patch_embed{number}.{rest.replace("projection", "proj")}'] = value
        elif part == '2':
            state[f'norm{number}.{rest}'] = value
        elif 'in_proj' in rest:
            block, leaf = rest.split('.')[0], rest.split('_')[-1]
            third = len(value) // 3
            state[f'block{number}.{block}.attn.q.{leaf}'] = value[:third]
            state[f'block{number}.{block}.attn.kv.{leaf}'] = value[third:]
        else:
            for own, theirs in (
                ('attn.attn.out_proj', 'attn.proj'),
                ('ffn.layers.0', 'mlp.fc1'),
                ('ffn.layers.1', 'mlp.dwconv.dwconv'),
                ('ffn.layers.4', 'mlp.fc2'),
            ):
                rest = rest.replace(own, theirs)
            if re.search(r'fc\d\.weight', rest):
                value = value[..., 0, 0]
            state[f'block{number}.{rest}'] = value
    return state


@pytest.fixture(scope='module')
def theirs() -> MixVisionTransformer:
    torch.manual_seed(0)
    model = MixVisionTransformer(**SIZES)
    model.init_weights()
    for parameter in model.parameters():  # norms and biases are told apart too
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def load(path, **settings) -> AttentionMiT:
    init_cfg = {'type': 'Pretrained', 'checkpoint': str(path), **settings}
    model = AttentionMiT(**SIZES, init_cfg=init_cfg)
    model.init_weights()
    return model.eval()


@pytest.mark.parametrize('kind', ['published', 'mmseg', 'segmentor'])
def test_every_kind_of_file_gives_the_same_network(kind, theirs, tmp_path):
    state = theirs.state_dict()
    content = {
        'published': published(theirs),
        'mmseg': state,
        'segmentor': {
            'meta': {},
            'state_dict': {f'backbone.{key}': v for key, v in state.items()},
        },
    }[kind]
    torch.save(content, tmp_path / 'mit.pth')
    img = torch.randn(1, 3, 64, 64)
    for feat, expected in zip(load(tmp_path / 'mit.pth')(img), theirs(img)):
        torch.testing.assert_close(feat, expected)


def test_a_given_prefix_chooses(theirs, tmp_path):
    state = theirs.state_dict()
    both = {f'teacher.{k}': v + 1 for k, v in state.items()}
    both |= {f'student.{k}': v for k, v in state.items()}
    torch.save(both, tmp_path / 'mit.pth')
    for prefix in ('student.', 'student'):
        loaded = load(tmp_path / 'mit.pth', prefix=prefix).state_dict()
        assert torch.equal(loaded['layers.3.2.bias'], state['layers.3.2.bias'])
    with pytest.raises(ValueError, match=r"'teacher\.', 'student\.'.*`prefix`"):
        load(tmp_path / 'mit.pth')
    with pytest.raises(ValueError, match=r"the prefix 'ema\.' of a Mix Transformer"):
        load(tmp_path / 'mit.pth', prefix='ema')


def test_a_file_in_the_home_folder(theirs, tmp_path, monkeypatch):
    torch.save(theirs.state_dict(), tmp_path / 'mit.pth')
    monkeypatch.setenv('HOME', str(tmp_path))
    loaded = load('~/mit.pth').state_dict()
    assert torch.equal(loaded['layers.3.2.bias'], theirs.layers[3][2].bias)


def test_errors_name_the_file_and_the_key(theirs, tmp_path):
    path = tmp_path / 'mit.pth'
    with pytest.raises(FileNotFoundError, match=r'mit\.pth: no such file'):
        load(path)
    state = published(theirs)
    del state['norm2.weight']
    torch.save(state, path)
    with pytest.raises(ValueError, match=r'mit\.pth: .*layers\.1\.2\.weight \(missing'):
        load(path)
    state = published(theirs) | {'norm4.bias': torch.zeros(3)}
    torch.save(state, path)
    with pytest.raises(ValueError, match=r'layers\.3\.2\.bias \(expected \(64,\)'):
        load(path)
    path.write_text('not a checkpoint')
    with pytest.raises(ValueError, match=r'mit\.pth: expected weights of a Mix'):
        load(path)


def test_maps_smaller_than_the_reduction():
    model = AttentionMiT(**SIZES, drop_path_rate=0.0).eval()
    feats = model(torch.randn(1, 3, 9, 7))
    assert all(torch.isfinite(feat).all() for feat in feats)
