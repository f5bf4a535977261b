import math

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmseg_wsss.evaluation import PseudoLabelMetric
from mmseg_wsss.registry import METRICS

META = {'classes': ('background', 'cat', 'dog')}


def make_sample(gt: list, **fields: list) -> SegDataSample:
    sample = SegDataSample(metainfo={'img_path': 'a/cat.jpg'})
    sample.gt_sem_seg = PixelData(data=torch.tensor([gt]))
    for name, value in fields.items():
        data = torch.tensor(value)
        if name != 'cam':
            data = data[None]
        sample.set_field(PixelData(data=data), name)
    return sample


def evaluate(samples: list, **options: object) -> dict:
    evaluator = Evaluator(METRICS.build(dict(type='PseudoLabelMetric', **options)))
    evaluator.dataset_meta = META
    evaluator.process(samples, None)
    return evaluator.evaluate(len(samples))


def test_sources_are_scored_over_all_images() -> None:
    samples = [
        make_sample([[0, 0, 1, 1]], pseudo_teacher_a=[[0, 255, 1, 0]]),
        make_sample([[1, 1, 0, 255]], pseudo_teacher_a=[[1, 1, 1, 1]]),
    ]
    scores = evaluate(samples, sources=['teacher_a'])
    # background: 1 hit, 3 true, 2 labeled; cat: 3 hits, 4 true, 4 labeled
    assert scores['teacher_a/mIoU'] == pytest.approx(50 * (1 / 4 + 3 / 5), abs=0.01)
    assert scores['teacher_a/coverage'] == pytest.approx(600 / 7, abs=0.01)
    assert scores['teacher_a/over_activation'] == 25
    assert scores['teacher_a/under_activation'] == 25


def test_cam_is_scored_at_its_best_threshold() -> None:
    cam = [[[0.1, 0.3, 0.7, 0.9]], [[0.0, 0.2, 0.0, 0.0]]]
    samples = [make_sample([[0, 0, 1, 1]], cam=cam)]
    scores = evaluate(samples, thresholds=[0.2, 0.4, 0.6, 0.8])
    # 0.4 and 0.6 are perfect: the lowest is named
    assert scores['cam/best_bg_thr'] == 0.4
    assert scores['cam/mIoU'] == 100
    assert evaluate(samples, thresholds=[0.8])['cam/mIoU'] == pytest.approx(
        50 * (2 / 3 + 1 / 2), abs=0.01
    )


def test_default_thresholds() -> None:
    cuts = PseudoLabelMetric().cuts
    assert cuts[:3] == [0.05, 0.1, 0.15]
    assert cuts[-1] == 0.8
    assert len(cuts) == 16


def test_no_image_gives_nan() -> None:
    scores = evaluate([], sources=['cam', 'fused'])
    assert math.isnan(scores['cam/best_bg_thr'])
    assert math.isnan(scores['cam/mIoU'])
    assert math.isnan(scores['fused/coverage'])


def test_a_table_of_classes_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr('mmseg_wsss.evaluation.pseudo_label_metric._log', lines.append)
    evaluate([make_sample([[0, 1]], pseudo_fused=[[0, 1]])], sources=['fused'])
    table = '\n'.join(lines)
    assert 'over_activation' in table
    row = next(line for line in table.splitlines() if ' cat ' in line)
    assert row.split('|')[2].strip() == '100.00'
    # a class that is nowhere has no score
    row = next(line for line in table.splitlines() if ' dog ' in line)
    assert row.split('|')[2].strip() == '-'


def test_results_stay_small() -> None:
    metric = PseudoLabelMetric()
    metric.dataset_meta = {'classes': ['background', *map(str, range(171))]}
    cam = torch.zeros(171, 40, 40)
    cam[3] = torch.rand(40, 40)
    gt = torch.zeros(1, 40, 40, dtype=torch.long)
    metric.process(None, [{'cam': {'data': cam}, 'gt_sem_seg': {'data': gt}}])
    index, counts = metric.results[0]['cam']
    assert len(index) <= 2 * len(metric.cuts)
    assert counts.sum() == 16 * 1600


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'sources': 'cam'}, "list of sources, found 'cam'"),
        ({'sources': []}, 'list of sources'),
        ({'thresholds': [0.3, 0.2]}, r'found \[0.3, 0.2\]'),
        ({'thresholds': []}, r'found \[\]'),
    ],
)
def test_bad_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PseudoLabelMetric(**options)


def test_a_missing_field_is_named_with_its_image() -> None:
    samples = [make_sample([[0, 1]], pseudo_teacher_a=[[0, 1]])]
    with pytest.raises(ValueError, match=r'a/cat.jpg: expected the field pseudo_fused'):
        evaluate(samples, sources=['fused'])


def test_a_label_outside_the_range_is_named_with_its_image() -> None:
    samples = [make_sample([[0, 1]], pseudo_fused=[[0, 3]])]
    with pytest.raises(ValueError, match=r'a/cat.jpg: .* found \[3\]'):
        evaluate(samples, sources=['fused'])


@pytest.mark.parametrize('options', [{}, {'background': False}])
def test_without_a_background_class(options) -> None:
    """A pixel below the threshold has no label, and no pixel is background."""
    cam = [[[0.9, 0.8, 0.1]], [[0.1, 0.2, 0.1]]]
    sample = make_sample([[0, 0, 1]], cam=cam)
    cfg = dict(type='PseudoLabelMetric', thresholds=[0.5], **options)
    evaluator = Evaluator(METRICS.build(cfg))
    evaluator.dataset_meta = {'classes': ('cat', 'dog')}
    evaluator.process([sample], None)
    scores = evaluator.evaluate(1)
    assert scores['cam/coverage'] == pytest.approx(200 / 3, abs=0.01)
    assert scores['cam/mIoU'] == 50  # of cat 100, of dog 0
    assert math.isnan(scores['cam/over_activation'])


def test_another_ignored_label() -> None:
    sample = make_sample([[0, 1, 7, 7]], pseudo_a=[[0, 1, 0, 1]])
    assert evaluate([sample], sources=['a'], ignore_index=7)['a/precision'] == 100
