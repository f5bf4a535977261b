"""SemiDataset and SemiMultiBranch: aligned views, no masks of unlabeled images."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from PIL import Image
from torch.utils.data import DataLoader

from mmseg_wsss.datasets import SemiDataset
from mmseg_wsss.datasets.sample_key import SampleKey
from mmseg_wsss.datasets.samplers import MultiSourceSampler
from mmseg_wsss.datasets.transforms import SemiMultiBranch

FIELD = ['sup', 'unsup_weak', 'unsup_strong']
LOAD = {'type': 'LoadImageStrict'}
GEOMETRY = [
    {'type': 'RandomRescale', 'ratio_range': (0.5, 1.5)},
    {'type': 'RandomFlip', 'prob': 0.5},
    {'type': 'RandomCropPad', 'crop_size': (16, 16)},
]
PACK = {'type': 'PackWeakInputs'}
NOISE = {'type': 'PhotoMetricDistortion'}


def branches(**views: list) -> dict:
    return {'type': 'SemiMultiBranch', 'branch_field': FIELD, **views}


LABELED = [
    LOAD,
    {'type': 'LoadAnnotationsStrict'},
    *GEOMETRY,
    branches(sup=[NOISE, PACK]),
]
UNLABELED = [
    LOAD,
    *GEOMETRY,
    branches(unsup_weak=[PACK], unsup_strong=[NOISE, PACK]),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven images of coordinates in VOC layout, 2 labeled and 5 unlabeled."""
    for part in ('JPEGImages', 'SegmentationClass'):
        (tmp_path / part).mkdir()
    rows, cols = np.mgrid[:20, :24]
    for i in range(7):
        img = np.stack([10 * rows, 10 * cols, 0 * rows + i], 2).astype(np.uint8)
        Image.fromarray(img).save(tmp_path / 'JPEGImages' / f'{i}.png')
        mask = Image.fromarray(rows.astype(np.uint8))
        mask.save(tmp_path / 'SegmentationClass' / f'{i}.png')
    (tmp_path / 'labeled.txt').write_text('0\n1\n')
    (tmp_path / 'unlabeled.txt').write_text('2\n3\n4\n5\n6\n')
    return tmp_path


def part(folder: Path, name: str, pipeline: list) -> dict:
    return {
        'type': 'PascalVOCDataset',
        'data_root': str(folder),
        'ann_file': f'{name}.txt',
        'data_prefix': {
            'img_path': 'JPEGImages',
            'seg_map_path': 'SegmentationClass',
        },
        'img_suffix': '.png',
        'pipeline': pipeline,
    }


def semi(folder: Path, unlabeled: dict | None = None) -> SemiDataset:
    return SemiDataset(
        part(folder, 'labeled', LABELED),
        unlabeled or part(folder, 'unlabeled', UNLABELED),
    )


def draw(index: int, number: int = 0) -> SampleKey:
    return SampleKey(index, seed=5, number=number)


class TestSemiDataset:
    def test_unlabeled_images_come_after_labeled_ones(self, folder):
        dataset = semi(folder)
        assert (len(dataset), dataset.cumulative_sizes) == (7, [2, 7])
        names = [Path(dataset.get_data_info(i)['img_path']).stem for i in range(7)]
        assert names == list('0123456')
        assert [dataset.get_data_info(i)['sample_idx'] for i in (0, 6)] == [0, 6]
        assert len(dataset.metainfo['classes']) == 21
        for index in (-1, 7):
            with pytest.raises(IndexError, match=rf'index {index} is outside \[0, 7\)'):
                dataset[index]

    def test_views_have_labels_and_valid_area(self, folder):
        dataset = semi(folder)
        sup = dataset[draw(1)]['data_samples']['sup']
        assert sup.gt_sem_seg.shape == sup.valid_map.shape == (16, 16)
        assert dataset[draw(1)]['inputs']['unsup_weak'] is None
        views = dataset[draw(2)]['data_samples']
        assert views['sup'] is None
        for name in FIELD[1:]:
            assert set(views[name].keys()) == {'valid_map'}
            assert views[name].valid_map.data.shape == (1, 16, 16)
            assert 'seg_map_path' not in views[name].metainfo

    def test_no_mask_of_the_unlabeled_part_is_opened(self, folder):
        expected = [semi(folder)[draw(i, i)]['inputs'] for i in range(2, 7)]
        for name in range(2, 7):
            (folder / 'SegmentationClass' / f'{name}.png').unlink()
        found = [semi(folder)[draw(i, i)]['inputs'] for i in range(2, 7)]
        for a, b in zip(expected, found, strict=True):
            assert all(torch.equal(a[k], b[k]) for k in FIELD[1:])

    def test_folder_of_unlabeled_images_gives_the_same_samples(self, folder, tmp_path):
        images = tmp_path / 'images'
        images.mkdir()
        for name in range(2, 7):
            shutil.copy(folder / 'JPEGImages' / f'{name}.png', images)
        plain = {'type': 'ImageFolder', 'data_root': str(images)}
        dataset = semi(folder, plain | {'pipeline': UNLABELED})
        assert len(dataset) == 7
        for i in range(2, 7):
            a, b = semi(folder)[draw(i, 3)]['inputs'], dataset[draw(i, 3)]['inputs']
            assert all(torch.equal(a[k], b[k]) for k in FIELD[1:])

    @pytest.mark.parametrize(
        'pipeline',
        [
            [LOAD, {'type': 'LoadAnnotationsStrict'}, *UNLABELED[1:]],
            [LOAD, branches(unsup_weak=[{'type': 'LoadAnnotations'}, PACK])],
            [
                LOAD,
                {
                    'type': 'RandomChoice',
                    'transforms': [[{'type': 'LoadAnnotations'}], [NOISE]],
                },
                PACK,
            ],
        ],
    )
    def test_unlabeled_pipelines_that_load_masks_are_refused(self, folder, pipeline):
        with pytest.raises(ValueError, match='PascalVOCDataset contains Load'):
            semi(folder, part(folder, 'unlabeled', pipeline))

    def test_mask_added_by_a_transform_is_detected(self, folder):
        class AddMask:
            def __call__(self, results):
                seg = np.zeros(results['img'].shape[:2], np.uint8)
                return results | {'gt_seg_map': seg}

        pipeline = [LOAD, branches(unsup_weak=[AddMask(), PACK])]
        dataset = semi(folder, part(folder, 'unlabeled', pipeline))
        with pytest.raises(RuntimeError, match=r'3\.png: a mask reached'):
            dataset[3]

    def test_a_labeled_sample_without_a_mask_is_named(self, folder):
        labeled = part(folder, 'labeled', [LABELED[0], *LABELED[2:]])
        dataset = SemiDataset(labeled, part(folder, 'unlabeled', UNLABELED))
        with pytest.raises(RuntimeError, match=r'1\.png: a labeled sample has no mask'):
            dataset[1]

    @pytest.mark.parametrize('name', ['labeled', 'unlabeled'])
    def test_an_empty_list_is_named(self, folder, name):
        path = folder / f'{name.replace("ll", "l")}.txt'
        path.write_text('')
        with pytest.raises(ValueError, match=f'the list {path} is empty'):
            semi(folder)

    def test_concatenated_parts_keep_their_pipelines(self, folder):
        for name in '01':
            (folder / f'{name}.txt').write_text(f'{name}\n')
        parts = [part(folder, name, LABELED) for name in '01']
        concat = {'type': 'ConcatDataset', 'datasets': parts}
        unlabeled = part(folder, 'unlabeled', UNLABELED)
        dataset = SemiDataset(concat, unlabeled)
        assert (len(dataset), dataset.cumulative_sizes) == (7, [2, 7])
        found, expected = (d[draw(1, 4)]['inputs'] for d in (dataset, semi(folder)))
        assert torch.equal(found['sup'], expected['sup'])
        loud = [*LABELED[:-1], branches(sup=[{'type': 'SemiEqualize'}, PACK])]
        parts[0]['pipeline'] = loud
        dataset = SemiDataset(concat, unlabeled)
        first, second = (dataset[draw(i, 4)]['inputs']['sup'] for i in range(2))
        assert torch.equal(second, expected['sup'])
        quiet = semi(folder)[draw(0, 4)]['inputs']['sup']
        assert not torch.equal(first, quiet)

    def test_split_names_the_folder_of_both_lists(self, folder):
        lists = folder / 'splits/a'
        lists.mkdir(parents=True)
        (lists / 'labeled.txt').write_text('5\n')
        (lists / 'unlabeled.txt').write_text('0\n2\n')
        parts = [part(folder, 'x', pipeline) for pipeline in (LABELED, UNLABELED)]
        for one in parts:
            del one['ann_file']
        dataset = SemiDataset(*parts, split='splits/a')
        names = [Path(dataset.get_data_info(i)['img_path']).stem for i in range(3)]
        assert names == ['5', '0', '2']
        assert 'ann_file' not in parts[0]

    def test_split_beside_a_list_or_a_wrapper_is_refused(self, folder):
        labeled = part(folder, 'labeled', LABELED)
        without_list = {k: v for k, v in labeled.items() if k != 'ann_file'}
        with pytest.raises(ValueError, match=r"unlabeled\.ann_file='labeled\.txt'"):
            SemiDataset(without_list, labeled, split='splits/a')
        repeated = {'type': 'RepeatDataset', 'dataset': without_list, 'times': 2}
        with pytest.raises(ValueError, match='plain dataset as labeled'):
            SemiDataset(repeated, without_list, split='splits/a')

    def test_missing_split_names_the_tool_that_makes_it(self, folder):
        parts = [part(folder, 'x', pipeline) for pipeline in (LABELED, UNLABELED)]
        for one in parts:
            del one['ann_file']
        with pytest.raises(FileNotFoundError, match=r'none/labeled\.txt.*semi_splits'):
            SemiDataset(*parts, split='splits/none')

    def test_sample_depends_only_on_its_key(self, folder):
        dataset = semi(folder)
        first = dataset[draw(3, 9)]['inputs']['unsup_strong']
        dataset[draw(0, 1)]
        assert torch.equal(dataset[draw(3, 9)]['inputs']['unsup_strong'], first)
        others = [dataset[draw(3, n)]['inputs']['unsup_strong'] for n in range(5)]
        assert not all(torch.equal(other, first) for other in others)

    def test_batches_do_not_depend_on_workers_or_skipping(self, folder):
        dataset = semi(folder)

        def batches(workers: int, skipped: int) -> list[dict]:
            sampler = MultiSourceSampler(dataset, 4, seed=3)
            sampler.skip(4 * skipped)
            loader = DataLoader(
                dataset,
                batch_size=4,
                sampler=sampler,
                num_workers=workers,
                collate_fn=pseudo_collate,
            )
            return [batch['inputs'] for _, batch in zip(range(skipped, 5), loader)]

        whole = batches(0, 0)
        for workers, skipped in ((2, 0), (0, 3)):
            found = batches(workers, skipped)
            assert len(found) == 5 - skipped
            for a, b in zip(found, whole[skipped:], strict=True):
                for name in FIELD:
                    views = [v for v in b[name] if v is not None]
                    assert len(views) == 2
                    pairs = zip([v for v in a[name] if v is not None], views)
                    assert all(torch.equal(x, y) for x, y in pairs)

    def test_rejected_images_are_replaced_within_their_part(self, folder):
        class Reject:
            def __call__(self, results):
                return None if results['img_path'].endswith('6.png') else results

        pipeline = [LOAD, branches(unsup_weak=[Reject(), PACK])]
        dataset = semi(folder, part(folder, 'unlabeled', pipeline))
        assert dataset[6]['data_samples']['unsup_weak'].img_path.endswith('2.png')


class TestSemiMultiBranch:
    def test_views_are_aligned_and_decoded_once(self, folder, monkeypatch):
        """The colors are coordinates, so that aligned views are equal."""
        unlabeled = [
            LOAD,
            *GEOMETRY,
            branches(unsup_weak=[PACK], unsup_strong=[PACK]),
        ]
        dataset = semi(folder, part(folder, 'unlabeled', unlabeled))
        calls = []
        load = dataset.unlabeled.pipeline.transforms[0]
        original = type(load).transform
        monkeypatch.setattr(
            type(load),
            'transform',
            lambda self, results: calls.append(1) or original(self, results),
        )
        for number in range(5):
            sample = dataset[draw(2 + number, number)]
            weak, strong = (sample['inputs'][name] for name in FIELD[1:])
            assert torch.equal(weak, strong)
            maps = [sample['data_samples'][name].valid_map.data for name in FIELD[1:]]
            assert torch.equal(*maps)
        assert len(calls) == 5

    def test_a_branch_cannot_change_another(self):
        class SetToZero:
            def __call__(self, results):
                results['img'][...] = 0
                return results

        img = np.full((4, 5, 3), 9, np.uint8)
        step = SemiMultiBranch(unsup_strong=[SetToZero(), PACK], unsup_weak=[PACK])
        sample = step({'img': img, 'img_shape': (4, 5)})
        assert sample['inputs']['unsup_strong'].unique().tolist() == [0]
        assert sample['inputs']['unsup_weak'].unique().tolist() == [9]

    def test_two_strong_views(self):
        field = ['sup', 'unsup_weak', 'unsup_strong_0', 'unsup_strong_1']
        step = SemiMultiBranch(
            field, unsup_weak=[PACK], unsup_strong_0=[PACK], unsup_strong_1=[PACK]
        )
        sample = step({'img': np.zeros((4, 5, 3), np.uint8), 'img_shape': (4, 5)})
        assert list(sample['inputs']) == list(sample['data_samples']) == field
        assert [v is None for v in sample['inputs'].values()] == [True] + [False] * 3

    @pytest.mark.parametrize('views', [{}, {'sup': [PACK], 'unsup_stong': [PACK]}])
    def test_unknown_branches_are_named(self, views):
        with pytest.raises(ValueError, match=r'unsup_strong.*got \[.*\]'):
            SemiMultiBranch(**views)
