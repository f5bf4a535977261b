"""Weights of WideResNet38: both file formats, conversion, bad files."""

import importlib.util
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from mmseg_wsss.models.backbones import WideResNet38
from mmseg_wsss.models.backbones.mxnet_params import read_mxnet_params
from mmseg_wsss.models.backbones.wide_resnet38_weights import mxnet_key, read_weights
from mmseg_wsss.models.decode_heads import CAMHead

ROOT = Path(__file__).resolve().parents[4]

MAGICS = {'V1': 0xF993FAC8, 'V2': 0xF993FAC9, 'V3': 0xF993FACA}
FLAGS = {'float32': 0, 'float64': 1, 'float16': 2, 'uint8': 3, 'int32': 4, 'int64': 6}


def array_bytes(array: np.ndarray, version: str) -> bytes:
    parts = []
    if version != 'legacy':
        parts.append(struct.pack('<I', MAGICS[version]))
    if version in ('V2', 'V3'):
        parts.append(struct.pack('<i', 0))
    dims = 'I' if version == 'legacy' else 'q'
    parts.append(struct.pack(f'<I{array.ndim}{dims}', array.ndim, *array.shape))
    parts.append(struct.pack('<iii', 1, 0, FLAGS[str(array.dtype)]))
    return b''.join(parts) + array.tobytes()


def params_bytes(arrays: dict[str, np.ndarray], version: str) -> bytes:
    parts = [struct.pack('<QQQ', 0x112, 0, len(arrays))]
    parts += [array_bytes(array, version) for array in arrays.values()]
    parts.append(struct.pack('<Q', len(arrays)))
    parts += [struct.pack('<Q', len(name)) + name.encode() for name in arrays]
    return b''.join(parts)


def trunk() -> WideResNet38:
    torch.manual_seed(0)
    model = WideResNet38(base_channels=1)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value))
    return model


def mxnet_names(key: str) -> str:
    """The MXNet name of a key, written independently of the reader."""
    module, *branch, leaf = key.split('.')
    leaf = {
        'bias': 'beta',
        'running_mean': 'moving_mean',
        'running_var': 'moving_var',
        'weight': 'gamma' if 'bn' in key else 'weight',
    }[leaf]
    kind = 'aux' if leaf.startswith('moving') else 'arg'
    if not branch:
        return f'{kind}:{module}_{leaf}'
    stage, _, number = module[1:].partition('_')
    block = stage + (f'b{number}' if number else 'a')
    prefix, suffix = branch[0].split('_')
    prefix = {'conv': 'res', 'bn': 'bn'}[prefix]
    return f'{kind}:{prefix}{block}_{suffix}_{leaf}'


def weights(model: WideResNet38) -> dict[str, torch.Tensor]:
    """State dict without the counters, as files of PyTorch 0.4 are."""
    state = model.state_dict()
    return {key: state[key] for key in state if 'num_batches' not in key}


def write_mxnet(path, model, version='V2'):
    arrays = {mxnet_names(key): value.numpy() for key, value in weights(model).items()}
    arrays['arg:linear1000_weight'] = np.zeros((10, 64), np.float32)
    path.write_bytes(params_bytes(arrays, version))


def assert_same(model, reference):
    for key, value in weights(reference).items():
        assert torch.equal(model.state_dict()[key], value), key


def load_tool():
    path = ROOT / 'tools/model_converters/wide_resnet38.py'
    spec = importlib.util.spec_from_file_location('convert_wide_resnet38', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('version', ['legacy', 'V1', 'V2', 'V3'])
def test_params_round_trip(tmp_path, version):
    rng = np.random.default_rng(0)
    arrays = {
        f'arg:{dtype}': rng.uniform(0, 100, shape).astype(dtype)
        for dtype, shape in zip(FLAGS, [(2, 3), (1,), (2, 1, 2), (5,), (0, 3), (4,)])
    }
    path = tmp_path / 'net.params'
    path.write_bytes(params_bytes(arrays, version))
    read = read_mxnet_params(path)
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_params_by_hand(tmp_path):
    path = tmp_path / 'hand.params'
    path.write_bytes(
        bytes.fromhex(
            '1201000000000000 0000000000000000'  # magic, reserved
            '0100000000000000'  # one array
            'c9fa93f9 00000000'  # V2, dense
            '02000000 0100000000000000 0200000000000000'  # 1 x 2
            '01000000 00000000 00000000'  # CPU 0, float32
            '0000803f 000000c0'  # 1, -2
            '0100000000000000 0100000000000000 77'  # one name, "w"
        )
    )
    assert read_mxnet_params(path)['w'].tolist() == [[1.0, -2.0]]


def test_absent_array_is_left_out(tmp_path):
    none = struct.pack('<IiI', MAGICS['V2'], 0, 0)
    body = struct.pack('<QQQ', 0x112, 0, 2) + none
    body += array_bytes(np.ones(2, np.float32), 'V2') + struct.pack('<Q', 2)
    body += b''.join(struct.pack('<Q', 1) + name for name in (b'a', b'b'))
    (tmp_path / 'x.params').write_bytes(body)
    assert list(read_mxnet_params(tmp_path / 'x.params')) == ['b']


@pytest.mark.parametrize('version', ['legacy', 'V2'])
def test_every_truncation_is_an_error_with_the_byte(tmp_path, version):
    whole = params_bytes({'arg:w': np.arange(3, dtype=np.float32)}, version)
    path = tmp_path / 'cut.params'
    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        message = rf'cut\.params: .*(byte.* {size}\b|follow)'
        with pytest.raises(ValueError, match=message):
            read_mxnet_params(path)


def patched(offset: int, layout: str, value: int) -> bytes:
    """A sound V2 file of one 3-vector with one number overwritten."""
    data = bytearray(params_bytes({'arg:w': np.zeros(3, np.float32)}, 'V2'))
    struct.pack_into(layout, data, offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', 'is empty'),
        (patched(0, '<Q', 0x113), 'expected magic number 0x112 at byte 0, found 0x113'),
        (patched(16, '<Q', 2**60), 'number of arrays is .* only .* bytes follow'),
        (patched(24, '<I', 0xF993FACF), 'array 0 of 1 at byte 24 has 41.* dimensions'),
        (patched(28, '<i', 1), 'storage type 1; only dense'),
        (patched(32, '<i', -3), 'has -3 dimensions'),
        (patched(36, '<q', -1), r'has the shape \[-1\]'),
        (patched(36, '<q', 2**61), 'inside the data of array 0'),
        (patched(52, '<i', 77), r'type flag 77; expected one in \[0, 7\]'),
        (patched(68, '<Q', 0), 'expected 1 names, one per array, found 0 at byte 68'),
        (patched(84, '<B', 0xFF), 'name 0 of 1 at byte 84 is not UTF-8'),
    ],
    ids=lambda value: value if isinstance(value, str) else 'data',
)
def test_bad_params(tmp_path, data, message):
    path = tmp_path / 'bad.params'
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf'bad\.params: .*{message}'):
        read_mxnet_params(path)


def test_two_arrays_of_one_name(tmp_path):
    data = params_bytes({'a': np.zeros(1, np.int64), 'b': np.zeros(1, np.int64)}, 'V1')
    (tmp_path / 'x.params').write_bytes(data[:-1] + b'a')
    with pytest.raises(ValueError, match='two arrays of one name'):
        read_mxnet_params(tmp_path / 'x.params')


@pytest.mark.parametrize(
    ('name', 'key'),
    [
        ('arg:conv1a_weight', 'conv1a.weight'),
        ('arg:res2a_branch1_weight', 'b2.conv_branch1.weight'),
        ('arg:bn2a_branch2a_gamma', 'b2.bn_branch2a.weight'),
        ('arg:res4b5_branch2b1_weight', 'b4_5.conv_branch2b1.weight'),
        ('arg:res3c_branch2a_weight', 'b3_2.conv_branch2a.weight'),
        ('aux:bn6a_branch2b2_moving_var', 'b6.bn_branch2b2.running_var'),
        ('aux:bn7_moving_mean', 'bn7.running_mean'),
        ('arg:linear1000_bias', None),
        ('arg:res2a_branch2a_weight_old', None),
    ],
)
def test_mxnet_key(name, key):
    assert mxnet_key(name) == key


def test_mxnet_names_cover_the_network():
    keys = weights(WideResNet38(base_channels=1))
    assert [mxnet_key(mxnet_names(key)) for key in keys] == list(keys)


@pytest.mark.parametrize('version', ['legacy', 'V2'])
def test_init_cfg_reads_mxnet(tmp_path, version):
    source = trunk()
    path = tmp_path / 'resnet_38d.params'
    write_mxnet(path, source, version)
    init_cfg = {'type': 'Pretrained', 'checkpoint': str(path)}
    model = WideResNet38(base_channels=1, init_cfg=init_cfg)
    model.init_weights()
    assert_same(model, source)
    img = torch.rand(1, 3, 9, 9)
    assert torch.equal(model.eval()(img)[0], source.eval()(img)[0])
    assert not model.b2.bn_branch2a.weight.requires_grad


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('prefix', ['', 'module.', 'backbone.'])
def test_init_cfg_reads_torch(tmp_path, zipped, prefix):
    source = trunk()
    state = {prefix + key: value for key, value in weights(source).items()}
    state[f'{prefix}fc8.weight'] = torch.rand(20, 64, 1, 1)
    content = {'state_dict': state, 'meta': {}} if prefix == 'backbone.' else state
    path = tmp_path / 'res38_cls.pth'
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    init_cfg = {'type': 'Pretrained', 'checkpoint': str(path)}
    model = WideResNet38(base_channels=1, init_cfg=init_cfg)
    model.init_weights()
    assert_same(model, source)


def test_two_backbones_need_a_prefix(tmp_path):
    source = trunk()
    state = {f'student.{key}': value for key, value in weights(source).items()}
    state |= {f'teacher.{key}': value + 1 for key, value in weights(source).items()}
    path = tmp_path / 'two.pth'
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"'student\.', 'teacher\.'.*`prefix`"):
        read_weights(path)
    with pytest.raises(ValueError, match=r"the prefix 'ema\.'"):
        read_weights(path, 'ema.')
    init_cfg = {'type': 'Pretrained', 'checkpoint': str(path), 'prefix': 'student'}
    model = WideResNet38(base_channels=1, init_cfg=init_cfg)
    model.init_weights()
    assert_same(model, source)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ('bomb_went_off',)


def test_a_pickle_is_not_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'evil.pth'
    torch.save({'conv1a.weight': Bomb()}, path)
    with pytest.raises(ValueError, match=r'evil\.pth: .*PyTorch file of tensors'):
        read_weights(path)
    assert not (tmp_path / 'bomb_went_off').exists()


@pytest.mark.parametrize(
    ('content', 'message'),
    [(b'', 'found none'), (b'no weights at all', 'found none')],
    ids=['empty', 'text'],
)
def test_not_a_weight_file(tmp_path, content, message):
    path = tmp_path / 'x.pth'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf'x\.pth: .*{message}'):
        read_weights(path)


def test_truncated_torch_file(tmp_path):
    path = tmp_path / 'cut.pth'
    torch.save(weights(trunk()), path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ValueError, match=r'cut\.pth: .*found none'):
        read_weights(path)


def test_other_contents(tmp_path):
    path = tmp_path / 'x.pth'
    torch.save([torch.zeros(1)], path)
    with pytest.raises(ValueError, match='expected a state dict, found list'):
        read_weights(path)
    torch.save({'layer1.weight': torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r'conv1a\.weight.*found none'):
        read_weights(path)
    with pytest.raises(FileNotFoundError, match='absent'):
        read_weights(tmp_path / 'absent.pth')


def test_misfits_are_named(tmp_path):
    path = tmp_path / 'x.pth'
    state = weights(trunk())
    del state['b4_3.conv_branch2a.weight']
    state['bn7.bias'] = torch.zeros(3)
    torch.save(state, path)
    init_cfg = {'type': 'Pretrained', 'checkpoint': str(path)}
    model = WideResNet38(base_channels=1, init_cfg=init_cfg)
    message = (
        r'x\.pth.*b4_3\.conv_branch2a\.weight \(missing\)'
        r'.*bn7\.bias \(expected \(64,\), found \(3,\)\)'
    )
    with pytest.raises(ValueError, match=message):
        model.init_weights()


def test_tool_converts_torch_with_classifier(tmp_path, capsys):
    source, classifier = trunk(), torch.rand(20, 64, 1, 1)
    # f8_3 is a layer of AffinityNet, which has no place in the checkpoint.
    state = weights(source) | {'fc8.weight': classifier, 'f8_3.weight': classifier}
    src, dst = tmp_path / 'res38_cls.pth', tmp_path / 'new' / 'converted.pth'
    torch.save(state, src)
    assert load_tool().main([str(src), str(dst)]) == 0
    assert 'cam_head.classifier.weight (20, 64, 1, 1)' in capsys.readouterr().out
    keys = set(torch.load(dst, weights_only=True)['state_dict'])
    expected = {f'backbone.{key}' for key in weights(source)}
    assert keys == expected | {'cam_head.classifier.weight'}
    init_cfg = {'type': 'Pretrained', 'checkpoint': str(dst)}
    model = WideResNet38(base_channels=1, init_cfg=init_cfg)
    head = CAMHead(20, 64, init_cfg={**init_cfg, 'prefix': 'cam_head.'})
    model.init_weights()
    head.init_weights()
    assert_same(model, source)
    assert torch.equal(head.classifier.weight, classifier)


def test_tool_converts_mxnet(tmp_path):
    source = trunk()
    src, dst = tmp_path / 'resnet_38d.params', tmp_path / 'converted.pth'
    write_mxnet(src, source)
    assert load_tool().main([str(src), str(dst)]) == 0
    state = torch.load(dst, weights_only=True)['state_dict']
    assert state.keys() == {f'backbone.{key}' for key in weights(source)}
    for key, value in weights(source).items():
        assert torch.equal(state[f'backbone.{key}'], value)


def test_tool_reports_bad_files_and_writes_nothing(tmp_path, capsys):
    src, dst = tmp_path / 'resnet_38d.params', tmp_path / 'converted.pth'
    write_mxnet(src, trunk())
    src.write_bytes(src.read_bytes()[:-100_000])
    with pytest.raises(SystemExit, match='2'):
        load_tool().main([str(src), str(dst)])
    assert re.search(
        r'error: .*resnet_38d\.params: ends at byte', capsys.readouterr().err
    )
    with pytest.raises(SystemExit, match='2'):
        load_tool().main([str(tmp_path / 'none'), str(dst)])
    assert list(tmp_path.iterdir()) == [src]
