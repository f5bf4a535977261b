"""What is refused before the first step, and labels outside the range."""

import re
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.datasets import BaseSegDataset
from PIL import Image

from mmseg_wsss.datasets import ImageFolder, ImageTags, SemiDataset, WeakDataset
from mmseg_wsss.datasets.checks.from_config import splits_from_config
from mmseg_wsss.datasets.deterministic_dataset import DeterministicDataset
from mmseg_wsss.registry import DATASETS

LOAD = {'type': 'LoadImageFromFile'}
PACK = {'type': 'PackSegInputs'}
LABELED = [LOAD, {'type': 'LoadAnnotations'}, PACK]


@DATASETS.register_module()
class PNGByDefault(BaseSegDataset):
    def __init__(self, img_suffix='.png', **kwargs):
        super().__init__(img_suffix=img_suffix, **kwargs)


@DATASETS.register_module()
class PNGOfItsBase(BaseSegDataset):
    def __init__(self, **kwargs):
        super().__init__(img_suffix='.png', **kwargs)


class To255:
    """A transform that maps the value 255 of the files to class 1."""

    def __call__(self, results):
        seg = results['gt_seg_map']
        seg[seg == 255] = 1
        return results


def write(folder: Path, masks: list[np.ndarray]) -> Path:
    for part in ('img', 'ann'):
        (folder / part).mkdir(exist_ok=True)
    for i, mask in enumerate(masks):
        Image.new('RGB', mask.shape[::-1]).save(folder / f'img/{i}.png')
        Image.fromarray(mask.astype(np.uint8)).save(folder / f'ann/{i}.png')
    return folder


def config(folder: Path, pipeline: list, classes=('background', 'defect'), **options):
    return {
        'type': 'BaseSegDataset',
        'data_root': str(folder),
        'data_prefix': {'img_path': 'img', 'seg_map_path': 'ann'},
        'img_suffix': '.png',
        'metainfo': {'classes': classes},
        'pipeline': pipeline,
        **options,
    }


def semi(folder: Path, labeled: list = LABELED, **options) -> SemiDataset:
    return SemiDataset(
        config(folder, labeled, **options), config(folder, [LOAD, PACK], **options)
    )


def binary(count: int) -> list[np.ndarray]:
    return [np.eye(6) * 255 for _ in range(count)]


class TestBinaryMasks:
    @pytest.mark.parametrize('count', [1, 12, 130])
    def test_masks_of_0_and_255_are_refused(self, tmp_path, count):
        write(tmp_path, binary(count))
        with pytest.raises(
            ValueError, match=r'0\.png and the other masks .* 0 and 255'
        ):
            semi(tmp_path)

    def test_masks_of_16_bits(self, tmp_path):
        """Values of 65535 become 255 in mmseg's loader."""
        write(tmp_path, binary(3))
        for path in (tmp_path / 'ann').iterdir():
            Image.fromarray(np.eye(6, dtype=np.uint16) * 65535).save(path)
        with pytest.raises(ValueError, match='0 and 255 only'):
            semi(tmp_path)

    def test_a_pipeline_that_maps_255_is_accepted(self, tmp_path):
        write(tmp_path, binary(12))
        dataset = semi(tmp_path, [*LABELED[:2], To255(), PACK])
        labels = dataset[0]['data_samples'].gt_sem_seg.data
        assert labels.unique().tolist() == [0, 1]

    @pytest.mark.parametrize('masks', [[np.zeros((4, 4))] * 9, [np.full((4, 4), 255)]])
    def test_masks_without_objects_or_labels_are_accepted(self, tmp_path, masks):
        assert len(semi(write(tmp_path, masks))) == 2 * len(masks)

    def test_one_mask_with_a_class_suffices(self, tmp_path):
        write(tmp_path, [*binary(20), np.eye(6)])
        assert len(semi(tmp_path)) == 42

    def test_a_rare_class_beside_ignored_borders(self, tmp_path):
        """One of 400 masks has it; the first ones that are read do not."""
        masks = binary(400)
        masks[1] = np.eye(6)
        assert len(semi(write(tmp_path, masks))) == 800

    def test_masks_of_an_evaluation_are_refused(self, tmp_path):
        write(tmp_path, binary(3))
        pipeline = [*LABELED[:2], {'type': 'PackWeakInputs'}]
        tags = ImageTags({str(i): [0] for i in range(3)}, ['defect'])
        with pytest.raises(ValueError, match='0 and 255 only'):
            WeakDataset(config(tmp_path, []), pipeline, tags, test_mode=True)
        weak = WeakDataset(config(tmp_path, []), [LOAD, pipeline[-1]], tags)
        for path in (tmp_path / 'ann').iterdir():  # training opens no mask
            path.write_bytes(b'')
        assert len([weak[i] for i in range(3)]) == 3

    def test_random_numbers_are_left_alone(self, tmp_path):
        write(tmp_path, [*binary(20), np.eye(6)])
        torch.manual_seed(0)
        semi(tmp_path)
        first = torch.rand(1)
        torch.manual_seed(0)
        assert torch.equal(torch.rand(1), first)


class TestLabels:
    def test_an_invalid_label_names_the_file(self, tmp_path):
        dataset = semi(write(tmp_path, [np.eye(6), np.eye(6) * 11]))
        assert dataset[0]
        message = (
            r'ann/1\.png: labels \[11\] outside \[0, 1\] .*BaseSegDataset has 2 classes'
        )
        with pytest.raises(ValueError, match=message):
            dataset[1]

    def test_a_mask_in_color_names_the_file(self, tmp_path):
        dataset = semi(write(tmp_path, [np.eye(6)]))
        Image.new('RGB', (6, 6)).save(tmp_path / 'ann/0.png')
        with pytest.raises(ValueError, match=r'0\.png: expected one label per pixel'):
            dataset[0]

    def test_branches_are_checked(self, tmp_path):
        pipeline = [*LABELED[:2], {'type': 'SemiMultiBranch', 'sup': [PACK]}]
        dataset = semi(write(tmp_path, [np.eye(6) * 2]), pipeline)
        with pytest.raises(ValueError, match=r'0\.png: labels \[2\]'):
            dataset[0]

    def test_the_ignored_value_of_the_dataset_and_of_padding(self, tmp_path):
        mask = np.diag([0, 1, 254, 255, 0, 1])
        dataset = semi(write(tmp_path, [mask]), ignore_index=254)
        assert 254 in dataset[0]['data_samples'].gt_sem_seg.data

    def test_reduced_labels(self, tmp_path):
        pipeline = [LOAD, {'type': 'LoadAnnotations', 'reduce_zero_label': True}, PACK]
        dataset = semi(
            write(tmp_path, [np.eye(6) * 2]), pipeline, reduce_zero_label=True
        )
        labels = dataset[0]['data_samples'].gt_sem_seg.data
        assert labels.unique().tolist() == [1, 255]


class TestNames:
    @pytest.mark.parametrize(
        ('text', 'message'),
        [
            ('\ufeff0\n1\n', 'byte-order mark'),
            ('0.png\n1.png\n', r"remove the suffix \('\.png' is added\)"),
            ('img/0.png ann/0.png\n', 'several columns'),
            ('0\t0.png\n', 'several columns'),
            ('0 1\n', 'several columns'),
            ('# comment\n0\n', 'several columns'),
            ('0\n\n1\n', 'an empty line'),
        ],
    )
    def test_lines_that_are_no_names(self, tmp_path, text, message):
        write(tmp_path, [np.eye(6)] * 2)
        (tmp_path / 'list.txt').write_text(text, encoding='utf-8')
        with pytest.raises(ValueError, match=rf'list\.txt: .*{message}'):
            semi(tmp_path, ann_file='list.txt')

    def test_names_with_spaces_and_dots_are_accepted(self, tmp_path):
        write(tmp_path, [np.eye(6)])
        for part in ('img', 'ann'):
            for name in ('a b.png', 'scan.tif.png'):
                (tmp_path / part / name).write_bytes(
                    (tmp_path / part / '0.png').read_bytes()
                )
        (tmp_path / 'list.txt').write_text('a b\nscan.tif\n')
        assert len(semi(tmp_path, ann_file='list.txt')) == 4

    def test_empty_lists_inside_wrappers(self, tmp_path):
        write(tmp_path, [np.eye(6)])
        (tmp_path / 'list.txt').write_text('\ufeff\n', encoding='utf-8')
        inner = config(tmp_path, LABELED, ann_file='list.txt')
        concat = {'type': 'ConcatDataset', 'datasets': [inner]}
        with pytest.raises(ValueError, match=r'the list .*list\.txt is empty'):
            SemiDataset(concat, config(tmp_path, [LOAD, PACK]))

    def test_equal_names_are_refused_before_training(self, tmp_path):
        for name in ('same.jpg', 'same.tif.PNG', 'other.png'):
            Image.new('RGB', (4, 4)).save(tmp_path / name)
        tags = ImageTags({'same': [0], 'other': [0]}, ['dog'])
        with pytest.raises(ValueError, match=r"same\.jpg and .*\.tif\.PNG .* 'same'"):
            WeakDataset(ImageFolder(str(tmp_path), ['dog']), [LOAD], tags)

    @pytest.mark.parametrize('name', ['Background', '_background_', '__Background__'])
    def test_other_spellings_of_the_background(self, tmp_path, name):
        folder = write(tmp_path, [np.eye(6)])
        inner = config(folder, [], classes=(name, 'dog'))
        with pytest.raises(ValueError, match=f"class '{name}' would count as a fore"):
            WeakDataset(inner, [LOAD], {'source': 'masks'})


class TestFolder:
    @pytest.fixture
    def folder(self, tmp_path):
        images = tmp_path / 'images'
        elsewhere = tmp_path / 'elsewhere'
        for one in (images / 'sub', images / '.hidden', images / 'x.jpg', elsewhere):
            one.mkdir(parents=True)
        files = (
            'images/a.JPG',
            'images/sub/b.PnG',
            'images/.c.png',
            'images/.hidden/d.png',
            'images/x.jpg/e.png',
            'elsewhere/f.tif',
        )
        for name in files:
            Image.new('RGB', (4, 4)).save(tmp_path / name)
        (images / 'link').symlink_to(elsewhere)
        (images / 'g.png').symlink_to(elsewhere / 'f.tif')
        (images / 'loop').symlink_to(images)
        (images / 'notes.txt').write_text('')
        return images

    def test_files_of_a_folder(self, folder):
        dataset = ImageFolder(str(folder), ['dog'])
        names = [
            Path(dataset.get_data_info(i)['img_path']).relative_to(folder).as_posix()
            for i in range(len(dataset))
        ]
        assert names == ['a.JPG', 'g.png', 'link/f.tif', 'sub/b.PnG', 'x.jpg/e.png']

    def test_they_are_trained_with(self, folder):
        tags = {n: [0] for n in ('a', 'g', 'link/f', 'sub/b', 'x.jpg/e')}
        dataset = WeakDataset(
            ImageFolder(str(folder), ['dog']),
            [{'type': 'LoadImageStrict'}, {'type': 'PackWeakInputs'}],
            ImageTags(tags, ['dog']),
        )
        assert len([dataset[i] for i in range(len(dataset))]) == 5

    @pytest.mark.parametrize('listed', [False, True])
    def test_a_mask_beside_its_image_is_not_taken_for_it(self, folder, listed):
        Image.new('L', (4, 4)).save(folder / 'a.png')
        (folder / 'list.txt').write_text('a\n')
        kwargs = {'ann_file': 'list.txt'} if listed else {}
        with pytest.raises(
            ValueError, match=r'a\.JPG and .*a\.png have the same name '
        ):
            ImageFolder(str(folder), ['dog'], **kwargs)
        (folder / 'list.txt').write_text('g\n')
        assert len(ImageFolder(str(folder), ['dog'], ann_file='list.txt')) == 1

    def test_a_list_with_an_inner_suffix(self, folder):
        Image.new('RGB', (4, 4)).save(folder / 'scan.tif.png')
        for text, message in (('scan.tif', ''), ('scan.tif\na.JPG', ':2: .* a name w')):
            (folder / 'list.txt').write_text(text)
            with pytest.raises(ValueError, match=message) if message else nullcontext():
                dataset = ImageFolder(str(folder), ['dog'], ann_file='list.txt')
        assert dataset.get_data_info(0)['img_path'].endswith('scan.tif.png')

    def test_a_dangling_link_is_named(self, folder):
        (folder / 'gone.png').symlink_to(folder / 'nowhere.png')
        dataset = ImageFolder(str(folder), ['dog'], pipeline=[LOAD])
        with pytest.raises(FileNotFoundError, match=r'gone\.png'):
            dataset[2]


class TestLists:
    @pytest.mark.parametrize('wrapper', ['none', 'repeat', 'concat'])
    def test_a_missing_list_is_named(self, tmp_path, wrapper):
        part = config(write(tmp_path, binary(1)), [], ann_file='no.txt')
        dataset = {
            'none': part,
            'repeat': {'type': 'RepeatDataset', 'times': 2, 'dataset': part},
            'concat': {'type': 'ConcatDataset', 'datasets': [part]},
        }[wrapper]
        with pytest.raises(FileNotFoundError, match=r'no\.txt does not exist; correct'):
            WeakDataset(dataset, [LOAD], {'path': 'tags.json'})

    def test_an_empty_list(self, tmp_path):
        write(tmp_path, binary(1))
        (tmp_path / 'list.txt').write_text('')
        part = config(tmp_path, [], ann_file='list.txt')
        with pytest.raises(ValueError, match=r'list\.txt is empty'):
            WeakDataset(part, [LOAD], {'path': 'tags.json'})

    def test_no_image(self, tmp_path):
        options = {'indices': 0, 'serialize_data': False}
        part = DATASETS.build(config(write(tmp_path, binary(1)), [], **options))
        with pytest.raises(ValueError, match=r'no image in .*img; correct the list'):
            WeakDataset(part, [LOAD], {'path': 'tags.json'})

    @pytest.mark.parametrize('indices', [0, []])
    def test_indices_of_no_image(self, tmp_path, indices):
        part = config(write(tmp_path, binary(1)), [], indices=indices)
        dataset = {'type': 'ConcatDataset', 'datasets': [part]}
        message = re.escape(f'BaseSegDataset: indices={indices} leaves no image')
        with pytest.raises(ValueError, match=message):
            WeakDataset(dataset, [LOAD], {'path': 'tags.json'})

    @pytest.mark.parametrize('kind', ['weak', 'semi', 'check'])
    @pytest.mark.parametrize('serialize', [False, True])
    def test_no_image_of_the_suffix(self, tmp_path, kind, serialize):
        options = {'img_suffix': '.PNG', 'serialize_data': serialize}
        part = config(write(tmp_path, [np.eye(6)]), [], **options)
        text = r"no image in .* has .* '\.PNG', found 1 with others, such as .*0\.png"
        if kind == 'check':
            cfg = Config({'val_dataloader': {'dataset': part}})
            _, (finding,) = splits_from_config(cfg)
            assert re.search(text, finding.message)
            return
        with pytest.raises(ValueError, match=text):
            if kind == 'weak':
                WeakDataset(part, [LOAD], {'path': 'tags.json'})
            else:
                SemiDataset({'type': 'ConcatDataset', 'datasets': [part]}, part)

    def test_the_suffix_of_a_class(self, tmp_path):
        """Also one that the class gives to its base; images behind a link."""
        part = config(write(tmp_path, [np.eye(6)]), [LOAD])
        del part['img_suffix']
        (tmp_path / 'img').rename(tmp_path / 'far')
        (tmp_path / 'img').mkdir()
        (tmp_path / 'img/x').symlink_to(tmp_path / 'far')
        part['data_prefix'] = {'img_path': 'img'}
        for kind in (PNGByDefault, PNGOfItsBase):
            dataset = DeterministicDataset({**part, 'type': kind.__name__})
            assert dataset.name(0) == 'x/0'


def test_tags_given_as_a_path(tmp_path):
    part = config(write(tmp_path, binary(1)), [])
    with pytest.raises(TypeError, match=r"tags: expected dict\(path='tags.json'\) or"):
        WeakDataset(part, [LOAD], 'tags.json')
