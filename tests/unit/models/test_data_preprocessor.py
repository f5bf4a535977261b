"""MultiBranchDataPreprocessor: lists with gaps in, batches by branch out."""

import pytest
import torch
from helpers.tiny import tiny_model
from mmengine.structures import LabelData, PixelData
from mmseg.structures import SegDataSample

from mmseg_wsss.registry import MODELS

FIELD = ('sup', 'unsup_weak', 'unsup_strong')
INNER = {
    'type': 'SegDataPreProcessor',
    'mean': [1.0, 2.0, 3.0],
    'std': [2.0, 2.0, 2.0],
    'bgr_to_rgb': True,
    'size': (16, 16),
    'pad_val': 0,
    'seg_pad_val': 255,
}


@pytest.fixture
def preprocessor() -> torch.nn.Module:
    cfg = {'type': 'MultiBranchDataPreprocessor', 'data_preprocessor': INNER}
    return MODELS.build(cfg)


def collated(labeled: int, unlabeled: int) -> dict:
    """Images of one value, their number; labeled ones come first."""
    total = labeled + unlabeled
    batch: dict = {'inputs': {}, 'data_samples': {}}
    for name in FIELD:
        present = [(i < labeled) == (name == 'sup') for i in range(total)]
        imgs = [torch.full((3, 16, 16), i, dtype=torch.uint8) for i in range(total)]
        samples = [
            SegDataSample(metainfo={'img_path': f'{i}.png'}) for i in range(total)
        ]
        if name == 'sup':
            for sample in samples:
                sample.gt_sem_seg = PixelData(data=torch.zeros(1, 16, 16))
        batch['inputs'][name] = [v if p else None for v, p in zip(imgs, present)]
        batch['data_samples'][name] = [
            v if p else None for v, p in zip(samples, present)
        ]
    return batch


def test_tags_go_with_their_images(preprocessor):
    batch = collated(1, 2)
    labels = torch.eye(3)
    for name, samples in batch['data_samples'].items():
        for sample, label in zip(samples, labels):
            if sample is not None and name != 'unsup_strong':
                sample.gt_tags = LabelData(label=label)
    found = preprocessor(batch, training=True)['data_samples']
    assert torch.equal(found['sup'][0].gt_tags.label, labels[0])
    for sample, label in zip(found['unsup_weak'], labels[1:]):
        assert torch.equal(sample.gt_tags.label, label)
    assert not any('gt_tags' in sample for sample in found['unsup_strong'])


def test_a_batch_is_regrouped_by_branches(preprocessor):
    batch = preprocessor(collated(2, 3), training=True)
    numbers = {'sup': [0, 1], 'unsup_weak': [2, 3, 4], 'unsup_strong': [2, 3, 4]}
    assert list(batch['inputs']) == list(batch['data_samples']) == list(FIELD)
    for name, expected in numbers.items():
        inputs, samples = batch['inputs'][name], batch['data_samples'][name]
        assert inputs.shape == (len(expected), 3, 16, 16)
        # Normalized: (i - mean) / std.
        assert (2 * inputs[:, :, 0, 0]).tolist() == [
            [i - 1.0, i - 2.0, i - 3.0] for i in expected
        ]
        assert [s.img_path for s in samples] == [f'{i}.png' for i in expected]
        assert ['gt_sem_seg' in s for s in samples] == [name == 'sup'] * len(expected)


@pytest.mark.parametrize(
    ('counts', 'names'), [((2, 0), FIELD[:1]), ((0, 1), FIELD[1:])]
)
def test_absent_branches_are_left_out(preprocessor, counts, names):
    batch = preprocessor(collated(*counts), training=True)
    assert tuple(batch['inputs']) == tuple(batch['data_samples']) == names


def test_testing_is_left_to_the_inner_one(preprocessor):
    data = {'inputs': [torch.full((3, 4, 5), 7, dtype=torch.uint8)]}
    expected = preprocessor.data_preprocessor(data)['inputs']
    found = preprocessor(data)['inputs']
    assert torch.equal(found, expected)
    assert found.shape == (1, 3, 4, 5)


def test_a_training_batch_without_branches_is_refused(preprocessor):
    with pytest.raises(TypeError, match=r'type list; end.*SemiMultiBranch'):
        preprocessor({'inputs': [], 'data_samples': []}, training=True)


def test_it_moves_with_its_inner_one(preprocessor):
    assert preprocessor.to('meta') is preprocessor
    assert preprocessor.device.type == 'meta'
    assert preprocessor.data_preprocessor.mean.device.type == 'meta'


def test_it_comes_back_to_the_cpu(preprocessor):
    preprocessor.data_preprocessor._device = torch.device('meta')
    assert preprocessor.cpu() is preprocessor
    assert preprocessor.device.type == 'cpu'


def test_it_has_nothing_to_save(preprocessor):
    assert preprocessor.state_dict() == {}


def test_a_plain_one_given_to_a_segmentor_serves_every_branch(preprocessor):
    model = MODELS.build({**tiny_model('CPS'), 'data_preprocessor': INNER})
    found = model.data_preprocessor(collated(2, 2), True)
    expected = preprocessor(collated(2, 2), True)
    for name in expected['inputs']:
        assert torch.equal(found['inputs'][name], expected['inputs'][name])
