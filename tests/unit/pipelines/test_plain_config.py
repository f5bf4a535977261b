"""What a config for plain mmseg keeps of the tests of a training."""

import pytest
from mmengine.config import Config

from mmseg_wsss.pipelines.export_segmentor import plain_config

METRIC = {'type': 'IoUMetric', 'iou_metrics': ['mIoU']}


@pytest.mark.parametrize(
    ('val', 'test', 'expected'),
    [(None, METRIC, METRIC), (METRIC, None, METRIC), (None, None, None)],
)
def test_metrics_that_are_turned_off(val, test, expected):
    dataset = {'type': 'BaseSegDataset', 'pipeline': [{'type': 'LoadImageStrict'}]}
    loader = {'batch_size': 1, 'dataset': dataset}
    cfg = Config({'val_evaluator': val, 'test_evaluator': test})
    cfg.test_dataloader = loader
    plain = plain_config(cfg, {'type': 'EncoderDecoder'})
    assert plain.get('val_evaluator') == expected
    # MMEngine accepts all three or none.
    assert {key in plain for key in ('val_dataloader', 'val_cfg')} == {bool(expected)}
    assert plain.get('test_evaluator') == test
    assert plain.test_dataloader.dataset.pipeline[0].type == 'LoadImageFromFile'
