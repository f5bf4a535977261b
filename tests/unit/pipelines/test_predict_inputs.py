"""What predictions accept before a model is built."""

import pytest
from helpers.tiny import tiny_config
from mmengine.config import Config

from mmseg_wsss.pipelines.predict import _meta_of_data, predict_folder
from mmseg_wsss.pipelines.predict_images import predict_images


def test_a_negative_sheet_is_refused(tmp_path):
    message = r'sheet_size \(--sheet\) must be at least 0, got -1'
    with pytest.raises(ValueError, match=message):
        predict_folder(Config(), 'none.pth', tmp_path, tmp_path / 'out', sheet_size=-1)


def test_no_image_is_not_every_image(tiny_voc, tmp_path):
    cfg = tiny_config('CAM', tiny_voc, tmp_path)
    predict_images(cfg, 'none.pth', tmp_path / 'out', only=[])
    assert not (tmp_path / 'out').exists()
    with pytest.raises(FileNotFoundError, match=r'none\.pth'):
        predict_images(cfg, 'none.pth', tmp_path / 'out')


def test_classes_of_several_data_sets():
    part = {'type': 'BaseSegDataset', 'metainfo': {'classes': ('background', 'cat')}}
    several = {'type': 'ConcatDataset', 'datasets': [part, part]}
    for dataset in (several, {'type': 'RepeatDataset', 'dataset': several}):
        cfg = Config({'test_dataloader': {'dataset': dataset}})
        assert _meta_of_data(cfg)['classes'] == ('background', 'cat')
