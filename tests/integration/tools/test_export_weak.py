"""Exported weakly supervised networks predict in mmseg as in training."""

import shutil
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from helpers.methods import FCN_HEAD, HEAD, METHODS, TAG_NAMES, WEAK
from helpers.tiny import COLORS, tiny_config, tiny_network
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.apis import inference_model, init_model
from mmseg.models.segmentors import CascadeEncoderDecoder, EncoderDecoder

from mmseg_wsss.models.segmentors import WeakSegmentor
from mmseg_wsss.models.utils import ops_available
from mmseg_wsss.pipelines.export_segmentor import export_segmentor
from mmseg_wsss.registry import DATASETS, MODELS

META = {'classes': ('background', *TAG_NAMES), 'palette': COLORS.tolist()}
METHODS_WITH_HEAD = [name for name in WEAK if not METHODS[name].classifier]
WINDOWS = {'mode': 'slide', 'crop_size': (24, 24), 'stride': (16, 16)}
POINT_HEAD = {
    'type': 'PointHead',
    'in_channels': [16],
    'in_index': [1],
    'channels': 8,
    'num_fcs': 1,
    'num_classes': len(TAG_NAMES) + 1,
    'align_corners': False,
}
POINTS = {'subdivision_steps': 1, 'subdivision_num_points': 32, 'scale_factor': 2}
NEEDS_OPS = [
    pytest.mark.extras,
    pytest.mark.skipif(
        not ops_available(), reason='mmcv has no compiled ops (make env-ops adds them)'
    ),
]
CASES = {name: (name, None, {}) for name in METHODS_WITH_HEAD}
CASES |= {
    'windows': ('AFA', None, {'test_cfg': WINDOWS}),
    'fused windows': ('ASDT', 'fused', {'test_cfg': WINDOWS}),
    'auxiliary head': ('CAMSeg', None, {'auxiliary_head': FCN_HEAD}),
    'points': ('RRM', None, {'decode_head': [HEAD, POINT_HEAD], 'test_cfg': POINTS}),
    'student': ('ASDT', 'student', {'test_cfg': {'fuse': 'student'}}),
    'teacher': ('ASDT', 'teacher', {'test_cfg': {'fuse': 'teacher'}}),
    'by fuse': ('ASDT', None, {'test_cfg': {'fuse': 'teacher'}}),
    'fused': ('ASDT', 'fused', {}),
    'mean': ('ASDT', None, {'test_cfg': {'fuse': 'mean'}}),
}


def write_run(name: str, folder: Path, data_root: Path, **settings: object):
    """Write config and checkpoint of a network; return both and the network."""
    cfg = tiny_config(name, data_root, folder)
    model = tiny_network(name, **settings).eval()
    for key, value in settings.items():
        cfg.model[key] = value
    checkpoint = folder / 'weights.pth'
    meta = {'dataset_meta': META}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, checkpoint)
    return cfg, checkpoint, model


@pytest.mark.parametrize(
    'case',
    [pytest.param(c, marks=NEEDS_OPS if c == 'points' else ()) for c in CASES],
)
def test_exported_network_predicts_exactly_alike(case, tiny_voc, tmp_path):
    name, head, settings = CASES[case]
    cfg, checkpoint, model = write_run(name, tmp_path, tiny_voc, **settings)
    out, path = export_segmentor(cfg, checkpoint, [], tmp_path / 'net.pth', head)
    plain = init_model(str(path), str(out), device='cpu')
    cascade = isinstance(settings.get('decode_head'), list)
    assert type(plain) is (CascadeEncoderDecoder if cascade else EncoderDecoder)
    assert plain.dataset_meta['classes'] == META['classes']
    assert not any('cam_head' in key for key in torch.load(out)['state_dict'])
    model.cfg = Config.fromfile(path)
    image = str(tiny_voc / 'JPEGImages/1.png')
    mine, expected = (inference_model(net, image) for net in (plain, model))
    assert torch.equal(mine.pred_sem_seg.data, expected.pred_sem_seg.data)
    scores = [sample.seg_logits.data for sample in (mine, expected)]
    if settings.get('test_cfg', {}).get('fuse') in ('student', 'teacher'):
        # Alone, ASDT's heads predict logarithms of probabilities, mmseg's logits.
        torch.testing.assert_close(scores[0].log_softmax(0), scores[1])
    else:
        assert torch.equal(*scores)


def test_single_heads_need_none_of_this_package(tiny_voc, tmp_path):
    cfg, checkpoint, _ = write_run('ASDT', tmp_path, tiny_voc, decode_head=FCN_HEAD)
    imports = {}
    for head in ('student', 'teacher', 'fused'):
        path = export_segmentor(cfg, checkpoint, [], tmp_path / 'net.pth', head)[1]
        imports[head] = Config.fromfile(path).get('custom_imports', {}).get('imports')
    # Teacher B has a LargeFOVHead.
    assert imports == {
        'student': None,
        'teacher': ['mmseg_wsss'],
        'fused': ['mmseg_wsss'],
    }


class OwnPrediction(WeakSegmentor):
    """A method of a project that predicts in its own way."""

    def encode_decode(self, inputs, batch_img_metas):
        return -super().encode_decode(inputs, batch_img_metas)


REFUSED = {
    **{
        name: (name, {}, None, f'{name} has no segmentation head.*export_pseudo_labels')
        for name in WEAK
        if METHODS[name].classifier
    },
    'head of another': ('AFA', {}, 'teacher', 'AFA has one head'),
    'nothing fused': (
        'ASDT',
        {'test_cfg': {'fuse': 'student'}},
        'fused',
        r"test_cfg\.fuse='student'; set it to 'max'",
    ),
    'fused points': (
        'ASDT',
        {'decode_head': [HEAD, POINT_HEAD], 'test_cfg': POINTS},
        'fused',
        'with a refining head; give --head student',
    ),
    'plain mmseg': ('AFA', {'type': 'EncoderDecoder'}, None, 'of a weakly or semi-sup'),
    'own prediction': ('RRM', {'type': 'OwnPrediction'}, None, 'encode_decode differs'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_refused_in_one_line(case, tiny_voc, tmp_path, monkeypatch):
    name, settings, head, message = REFUSED[case]
    cfg = tiny_config(name, tiny_voc, tmp_path)
    cfg.model.update(settings)
    monkeypatch.setitem(MODELS.module_dict, 'OwnPrediction', OwnPrediction)
    with pytest.raises(ValueError, match=message) as error:
        export_segmentor(cfg, 'none.pth', [], tmp_path / 'net.pth', head)
    assert '\n' not in str(error.value)
    with pytest.raises(ValueError, match='has one network; leave the option out'):
        export_segmentor(cfg, 'none.pth', ['student'], tmp_path / 'net.pth')


def test_weights_of_another_network(tiny_voc, tmp_path):
    cfg, checkpoint, _ = write_run('CAMSeg', tmp_path, tiny_voc)
    cfg.model.decode_head = FCN_HEAD
    with pytest.raises(ValueError, match=r'weights\.pth: the checkpoint does not fit'):
        export_segmentor(cfg, checkpoint, [], tmp_path / 'net.pth')
    assert not (tmp_path / 'net.pth').exists()


def test_preprocessor_of_the_top_level_is_exported(tiny_voc, tmp_path):
    cfg, checkpoint, _ = write_run('TSCD', tmp_path, tiny_voc)
    cfg.data_preprocessor = cfg.model.pop('data_preprocessor')
    path = export_segmentor(cfg, checkpoint, [], tmp_path / 'net.pth')[1]
    expected = cfg.data_preprocessor.to_dict()
    assert Config.fromfile(path).model.data_preprocessor.to_dict() == expected


def test_metrics_and_wrapped_data_sets_are_those_of_mmseg(tiny_voc, tmp_path):
    cfg, checkpoint, _ = write_run('AFA', tmp_path, tiny_voc)
    own = {'type': 'MultiLabelMetric'}
    cfg.val_evaluator = [{'type': 'IoUMetric', 'iou_metrics': ['mFscore']}, own]
    cfg.test_evaluator = own
    test = cfg.test_dataloader.dataset
    parts = [deepcopy(test.dataset), deepcopy(test.dataset)]
    images = tmp_path / 'images'
    shutil.copytree(tiny_voc / 'JPEGImages', images)
    folder = {'type': 'ImageFolder', 'data_root': str(images), 'classes': TAG_NAMES}
    test.dataset = {'type': 'ConcatDataset', 'datasets': [*parts, folder]}
    plain = Config.fromfile(
        export_segmentor(cfg, checkpoint, [], tmp_path / 'net.pth')[1]
    )
    assert [metric.iou_metrics for metric in plain.val_evaluator] == [['mFscore']]
    assert plain.test_evaluator == {'type': 'IoUMetric', 'iou_metrics': ['mIoU']}
    kinds = [part.type for part in plain.test_dataloader.dataset.datasets]
    assert kinds == ['BaseSegDataset', 'BaseSegDataset', 'ImageFolder']
    plain.test_dataloader.dataset.datasets[2].metainfo = {
        'classes': plain.test_dataloader.dataset.datasets[0].metainfo.classes
    }
    with DefaultScope.overwrite_default_scope('mmseg'):
        assert len(DATASETS.build(plain.test_dataloader.dataset)) == 3 + 3 + 8
