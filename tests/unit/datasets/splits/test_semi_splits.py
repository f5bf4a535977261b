"""Draws of splits, published splits, and the formats of their lists."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from mmseg_wsss.datasets.splits.draw_split import draw_split
from mmseg_wsss.datasets.splits.import_split import import_split
from mmseg_wsss.datasets.splits.published import PUBLISHED, digest, identify
from mmseg_wsss.datasets.splits.semi_split import SemiSplit
from mmseg_wsss.datasets.splits.split_lists import read_list
from mmseg_wsss.datasets.splits.upstream_lists import read_upstream_list
from mmseg_wsss.datasets.tags import ImageTags, tags_from_masks

ROOT = Path(__file__).resolve().parents[4]
NAMES = [f'{i:03d}' for i in range(40)]


class TestDraw:
    def test_published_sizes_are_ratios_rounded_up(self):
        counts = {10582: (662, 1323, 2646, 5291), 2975: (186, 372, 744, 1488)}
        for total, expected in counts.items():
            names = [str(i) for i in range(total)]
            sizes = [f'1/{n}' for n in (16, 8, 4, 2)]
            found = [len(draw_split(names, size).labeled) for size in sizes]
            assert tuple(found) == expected

    def test_parts_are_disjoint_and_complete(self):
        split = draw_split(NAMES, '1/3', seed=1)
        assert len(split.labeled) == 14
        assert sorted([*split.labeled, *split.unlabeled]) == NAMES

    def test_it_depends_on_the_seed_and_not_on_the_order(self):
        first = draw_split(NAMES, '10', seed=1)
        assert draw_split(NAMES[::-1], '10', seed=1) == first
        assert draw_split(NAMES, '10', seed=2).labeled != first.labeled

    @pytest.mark.parametrize('balanced', [False, True])
    def test_smaller_splits_are_subsets_of_larger_ones(self, balanced):
        tags = (
            ImageTags({n: [int(n) % 3] for n in NAMES}, [*'abc']) if balanced else None
        )
        splits = [draw_split(NAMES, s, 3, tags=tags) for s in ('1/8', '1/4', '1/2')]
        small, middle, large = (set(split.labeled) for split in splits)
        assert small < middle < large

    def test_folds_differ_and_repeat(self):
        folds = [draw_split(NAMES, '10', 0, fold) for fold in (0, 1, 0)]
        assert folds[0] == folds[2]
        assert folds[0].labeled != folds[1].labeled
        plain = draw_split(NAMES, '10', 0)
        assert plain.labeled not in [fold.labeled for fold in folds]
        assert [fold.name for fold in folds[:2]] == ['seed0-fold0_10', 'seed0-fold1_10']

    def test_balanced_split_has_as_many_rare_as_common_classes(self):
        """Of 36 images of class a and 4 of b, a balanced split of 8 has 4 of each."""
        tags = ImageTags({n: [int(n) >= 36] for n in NAMES}, [*'ab'])
        for seed in range(5):
            split = draw_split(NAMES, '8', seed, tags=tags)
            assert sum(int(n) >= 36 for n in split.labeled) == 4
            assert split.name == f'seed{seed}-balanced_8'

    def test_balancing_counts_all_classes_of_an_image(self):
        """Images of both a and b count for both classes."""
        rows = {n: [0, 1] if int(n) < 4 else [2] for n in NAMES}
        split = draw_split(NAMES, '8', tags=ImageTags(rows, [*'abc']))
        assert sum(int(n) < 4 for n in split.labeled) == 4

    def test_images_without_a_tag_come_last(self):
        tags = ImageTags({n: [0] if int(n) < 5 else [] for n in NAMES}, [*'ab'])
        assert set(NAMES[:5]) < set(draw_split(NAMES, '6', tags=tags).labeled)

    @pytest.mark.parametrize('size', ['0', '40', '41', '1/0', '0/4', '1.5', 'x', '-3'])
    def test_invalid_sizes_are_named(self, size):
        with pytest.raises(ValueError, match=re.escape(size)):
            draw_split(NAMES, size)

    def test_an_image_without_an_entry_is_named(self):
        with pytest.raises(ValueError, match="'039'"):
            draw_split(NAMES, '8', tags=ImageTags({n: [0] for n in NAMES[:39]}, ['a']))


VOC, CITY = '2007_000032', 'train/aachen/aachen_000000_000019'
LINES = [
    ('voc', '2007_000032', VOC),
    ('voc', 'JPEGImages/2007_000032.jpg SegmentationClass/2007_000032.png', VOC),
    ('voc', '/JPEGImages/2007_000032.jpg\t/SegmentationClassAug/2007_000032.png', VOC),
    ('voc', 'JPEGImages/2007_000032.jpg None', VOC),
    ('cityscapes', CITY, CITY),
    (
        'cityscapes',
        'leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png '
        'gtFine/train/aachen/aachen_000000_000019_gtFine_labelTrainIds.png',
        CITY,
    ),
    (
        'cityscapes',
        'images/train/aachen_000000_000019.png\tlabels/train/aachen_000000_000019.png',
        CITY,
    ),
    ('cityscapes', 'aachen_000000_000019_leftImg8bit.png', CITY),
    (
        'cityscapes',
        'leftImg8bit/val/munster/munster_000000_000019_leftImg8bit.png None',
        'val/munster/munster_000000_000019',
    ),
    (
        'cityscapes',
        'val/munster/munster_000000_000019',
        'val/munster/munster_000000_000019',
    ),
    (
        'coco',
        'train2017/000000000009.jpg masks/000000000009.png',
        '000000000009',
    ),
    (
        'ade20k',
        'images/training/ADE_train_00000001.jpg '
        'annotations/training/ADE_train_00000001.png',
        'ADE_train_00000001',
    ),
]


class TestUpstreamLists:
    @pytest.mark.parametrize(('dataset', 'line', 'name'), LINES)
    def test_lines(self, tmp_path, dataset, line, name):
        path = tmp_path / 'labeled.txt'
        path.write_text(f'\ufeff{line}\r\n\r\n', encoding='utf-8')
        assert read_upstream_list(path, dataset) == [name]

    @pytest.mark.parametrize(
        ('line', 'message'),
        [
            ('JPEGImages/image.jpg', r":2: expected an image of voc.*'JPEGImages"),
            ('None None', ':2: expected an image'),
            ('2007_000032.jpg mask.png', ':2: expected an image'),
            (
                '2007_000032.jpg 2007_000033.png',
                ':2: expected one image and its mask',
            ),
            ('a/2007_000027.jpg', ':2: 2007_000027 is already listed in line 1'),
        ],
    )
    def test_bad_lines_are_named(self, tmp_path, line, message):
        path = tmp_path / 'labeled.txt'
        path.write_text(f'2007_000027\n{line}\n')
        with pytest.raises(ValueError, match=f'^{path}{message}'):
            read_upstream_list(path, 'voc')

    def test_an_empty_list_is_named(self, tmp_path):
        path = tmp_path / 'labeled.txt'
        path.write_text('\n')
        with pytest.raises(ValueError, match=f'{path} lists no image'):
            read_upstream_list(path, 'voc')


FOLDERS = {
    'voc-classic': 'voc/classic_{}',
    'voc-blended-cps': 'voc/blended_cps_{}',
    'voc-blended-u2pl': 'voc/blended_u2pl_{}',
    'cityscapes-cps': 'cityscapes/{}',
    'cityscapes-unimatch': 'cityscapes/{}',
    'cityscapes-u2pl': 'cityscapes/u2pl_{}',
}
KNOWN = [split for split in PUBLISHED.values() if split.digest]


class TestPublished:
    def test_names_are_unique_and_sets_complete(self):
        totals = {'voc': 10582, 'cityscapes': 2975, 'coco': 118287, 'ade20k': 20210}
        for split in PUBLISHED.values():
            total = totals[split.family.partition('-')[0]]
            assert split.labeled + split.unlabeled == total
        assert len({split.digest for split in KNOWN}) == len(KNOWN) == 22

    @pytest.mark.parametrize('split', KNOWN, ids=lambda split: split.name)
    def test_the_lists_are_recognized(self, shared, split):
        folder = shared / 'data/splits' / FOLDERS[split.family].format(split.size)
        dataset = split.family.partition('-')[0]
        found = import_split(
            folder / 'labeled.txt', dataset, unlabeled=folder / 'unlabeled.txt'
        )
        assert found.name == split.name
        assert len(found.labeled) == split.labeled
        assert len(found.unlabeled) == split.unlabeled

    def test_the_blended_families_are_not_comparable(self, shared):
        """Count the labeled images that have masks of VOC itself."""
        own = {*read_list(shared / 'data/splits/voc/classic_1464/labeled.txt')}
        counts = {}
        for family in ('cps', 'u2pl'):
            path = shared / f'data/splits/voc/blended_{family}_1_16/labeled.txt'
            counts[family] = len(own & {*read_list(path)})
        assert counts == {'cps': 93, 'u2pl': 662}

    def test_unlabeled_images_are_the_rest_of_all(self, shared):
        voc = shared / 'data/splits/voc'
        split = import_split(
            voc / 'classic_92/labeled.txt', 'voc', everything=voc / 'train_aug.txt'
        )
        assert split.name == 'voc-classic_92'
        expected = read_list(voc / 'classic_92/unlabeled.txt')
        assert sorted(split.unlabeled) == sorted(expected)

    def test_digest_depends_on_images_and_not_on_their_order(self):
        assert digest(['a', 'b']) == digest(['b', 'a']) != digest(['a', 'c'])
        assert identify(['a', 'b']) is None


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    (tmp_path / 'labeled.txt').write_text('2007_000001\n2007_000002\n')
    (tmp_path / 'unlabeled.txt').write_text('2007_000003\n')
    return tmp_path


class TestImport:
    def test_unpublished_lists_need_a_family(self, lists):
        paths = lists / 'labeled.txt', 'voc', lists / 'unlabeled.txt'
        with pytest.raises(ValueError, match=r'2 labeled .* name a family'):
            import_split(*paths)
        assert import_split(*paths, family='mine').name == 'mine_2'
        assert import_split(*paths, family='mine', size='2_3').name == 'mine_2_3'

    @pytest.mark.parametrize(
        ('family', 'size', 'message'),
        [
            ('voc-classic', '92', 'has 92 labeled and 10490 .* got 2 and 1'),
            (
                'voc-classic',
                '93',
                'published family voc-classic has no split 93, only 92',
            ),
            ('Mine_2', None, "family must consist of.*'Mine_2'"),
        ],
    )
    def test_names_of_published_splits_are_refused_for_other_images(
        self, lists, family, size, message
    ):
        paths = lists / 'labeled.txt', 'voc', lists / 'unlabeled.txt'
        with pytest.raises(ValueError, match=message):
            import_split(*paths, family=family, size=size)

    def test_lists_of_equal_length_but_other_images_are_refused(self):
        labeled = [f'{i}' for i in range(92)]
        unlabeled = [f'{i}' for i in range(92, 10582)]
        with pytest.raises(ValueError, match='voc-classic_92 has other labeled'):
            SemiSplit('voc-classic', '92', labeled, unlabeled)
        # COCO's lists are identified by their length only.
        names = [f'{i:012d}' for i in range(118287)]
        assert SemiSplit('coco-unimatch', '1_512', names[:232], names[232:])

    def test_published_split_cannot_be_renamed(self, shared, tmp_path):
        folder = shared / 'data/splits/voc/classic_92'
        labeled, unlabeled = folder / 'labeled.txt', folder / 'unlabeled.txt'
        with pytest.raises(
            ValueError, match='is voc-classic_92, not of the family mine'
        ):
            import_split(labeled, 'voc', unlabeled, family='mine')
        # Some lists pair its labeled images with fewer unlabeled ones.
        fewer = tmp_path / 'unlabeled.txt'
        fewer.write_text('\n'.join(read_list(unlabeled)[:640]))
        with pytest.raises(
            ValueError, match=r'has 92 labeled and 10490 .* got 92 and 640'
        ):
            import_split(labeled, 'voc', fewer)
        assert import_split(labeled, 'voc', fewer, family='mine').name == 'mine_92'

    def test_images_in_both_lists_are_named(self, lists):
        (lists / 'unlabeled.txt').write_text('2007_000002\n')
        with pytest.raises(ValueError, match='2007_000002 is listed 2 times'):
            import_split(
                lists / 'labeled.txt', 'voc', lists / 'unlabeled.txt', family='mine'
            )

    def test_image_missing_in_the_list_of_all_is_named(self, lists):
        with pytest.raises(ValueError, match=r'2007_000001 of .* is not in'):
            import_split(
                lists / 'labeled.txt', 'voc', everything=lists / 'unlabeled.txt'
            )


@pytest.fixture
def main():
    path = ROOT / 'tools/dataset_converters/semi_splits.py'
    spec = importlib.util.spec_from_file_location('semi_splits_tool', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


class TestOwnLists:
    """Lists of one's own data, as of UniMatch: image and mask with suffixes."""

    def write(self, folder: Path, labeled: str, unlabeled: str) -> list[str]:
        (folder / 'labeled.txt').write_text(labeled, encoding='utf-8')
        (folder / 'unlabeled.txt').write_text(unlabeled, encoding='utf-8')
        source = str(folder / 'labeled.txt')
        out = str(folder / 'out')
        return ['import', out, '--from', source, '--dataset', 'own']

    @pytest.mark.parametrize(
        ('labeled', 'unlabeled'),
        [
            (
                'images/x/a.jpg masks/x/a.png\nimages/b.JPG masks/b.png\n',
                'images/y/c.jpg masks/y/c.png\n',
            ),
            (
                '\ufeffimages/x/a.jpg\tmasks/x/a.png\nimages/b.jpg\tmasks/b.png\n',
                'images/y/c.jpg None\n\n',
            ),
            (
                'images\\x\\a.jpg masks\\x\\a.png\nimages/b.jpg masks/b.png\n',
                'images/y/c.jpg\n',
            ),
        ],
    )
    def test_names_are_those_of_the_config(self, main, tmp_path, labeled, unlabeled):
        # The first line fixes the folder of the images.
        assert main(self.write(tmp_path, labeled, unlabeled)) == 0
        folder = tmp_path / 'out/own_2'
        assert read_list(folder / 'labeled.txt') == ['x/a', 'b']
        assert read_list(folder / 'unlabeled.txt') == ['y/c']

    def test_images_alone_need_their_folder(self, main, tmp_path):
        command = self.write(tmp_path, 'images/a.jpg\n', 'images/b.jpg\n')
        assert main([*command, '--img-folder', 'images', '--family', 'mine']) == 0
        assert read_list(tmp_path / 'out/mine_1/labeled.txt') == ['a']
        assert main(command) == 0
        assert read_list(tmp_path / 'out/own_1/labeled.txt') == ['images/a']

    @pytest.mark.parametrize(
        ('labeled', 'message'),
        [
            (
                'images/a_img.jpg masks/a_lbl.png',
                'txt:1: image and mask have',
            ),
            ('images/a.jpg masks/a.png\nother/b.jpg masks/b.png', 'txt:2: .*in images'),
            ('images/a.jpg masks/a.png\nimages/a.jpg', 'txt:2: a is already listed'),
            ('images/a.jpg masks/a.png\nimages/b.jpg masks/c.png', 'not the mask of b'),
            ('/data/a.jpg /data/a.png', 'below data_root'),
            ('a.jpg b.png c.png', 'expected an image and its mask'),
            ('', 'lists no image'),
        ],
    )
    def test_wrong_lines_are_named(self, main, tmp_path, capsys, labeled, message):
        assert main(self.write(tmp_path, labeled, 'images/z.jpg\n')) == 2
        assert re.search(message, capsys.readouterr().err)
        assert not (tmp_path / 'out').exists()


class TestReadList:
    def test_byte_order_mark_and_spaces(self, tmp_path):
        path = tmp_path / 'list.txt'
        path.write_text('\ufeffa b\r\n\nx/c.v1\n', encoding='utf-8')
        assert read_list(path) == ['a b', 'x/c.v1']

    @pytest.mark.parametrize(
        ('text', 'message'),
        [
            ('a\nb.JPG\n', r"txt:2: .*without suffix, found 'b\.JPG'"),
            ('a.jpg a.png\n', 'txt:1: .*several columns'),
            ('a\tb\n', 'txt:1: .*several columns'),
        ],
    )
    def test_lines_that_are_no_names(self, main, tmp_path, capsys, text, message):
        path = tmp_path / 'list.txt'
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_list(path)
        out = str(tmp_path / 'out')
        assert main(['draw', out, '--list', str(path), '--sizes', '1']) == 2
        assert str(path) in capsys.readouterr().err

    def test_another_encoding(self, tmp_path):
        path = tmp_path / 'list.txt'
        path.write_bytes('a\n'.encode('utf-16'))
        with pytest.raises(ValueError, match=r'list\.txt: expected UTF-8'):
            read_list(path)


class TestTool:
    def test_draws_sizes_and_folds(self, main, tmp_path, capsys):
        (tmp_path / 'all.txt').write_text('\n'.join(NAMES))
        command = ['draw', str(tmp_path / 'out'), '--list', str(tmp_path / 'all.txt')]
        assert main([*command, '--sizes', '1/4', '3', '--folds', '2']) == 0
        folders = sorted(path.name for path in (tmp_path / 'out').iterdir())
        assert folders == [
            f'seed0-fold{i}_{size}' for i in (0, 1) for size in ('1_4', 3)
        ]
        about = json.loads((tmp_path / 'out/seed0-fold1_1_4/split.json').read_text())
        assert about.pop('digest')
        assert about == {
            'family': 'seed0-fold1',
            'size': '1_4',
            'labeled': 10,
            'unlabeled': 30,
        }
        assert main([*command, '--sizes', '41']) == 2
        assert '41 of 40 images' in capsys.readouterr().err

    def test_balances_by_masks(self, main, shared, tmp_path):
        voc = shared / 'data/voc-mini/VOC2012'
        command = [
            'draw',
            str(tmp_path),
            '--list',
            str(voc / 'ImageSets/Segmentation/train.txt'),
            '--sizes',
            '40',
            '--balance',
            str(voc / 'SegmentationClass'),
            '--classes',
            'voc',
        ]
        assert main(command) == 0
        names = read_list(tmp_path / 'seed0-balanced_40/labeled.txt')
        tags = tags_from_masks(
            voc / 'SegmentationClass',
            [f'{i}' for i in range(20)],
            images=names,
            allow_empty=True,
        )
        assert len(names) == 40
        assert min(tags.counts().values()) >= 2

    def test_imports_a_folder_of_lists(self, main, shared, tmp_path, capsys):
        source = str(shared / 'data/splits/cityscapes')
        command = ['import', str(tmp_path), '--from', source, '--dataset', 'cityscapes']
        assert main(command) == 0
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {n for n in PUBLISHED if n.startswith('cityscapes')}
        assert '186 labeled, 2789 unlabeled' in capsys.readouterr().out
        # The same again changes nothing; a folder with other images stays.
        assert main(command) == 0
        (tmp_path / 'cityscapes-cps_1_16/labeled.txt').write_text('mine\n')
        assert main(command) == 2
        assert 'lists other images' in capsys.readouterr().err
        assert read_list(tmp_path / 'cityscapes-cps_1_16/labeled.txt') == ['mine']

    def test_imports_flat_lists_and_writes_all_or_none(self, main, lists, capsys):
        flat = lists / 'flat'
        flat.mkdir()
        for kind in ('labeled', 'unlabeled'):
            (lists / f'{kind}.txt').rename(flat / f'train_aug_{kind}_1-16.txt')
        command = [
            'import',
            str(lists / 'out'),
            '--from',
            str(flat),
            '--dataset',
            'voc',
        ]
        assert main(command) == 2
        assert 'name a family' in capsys.readouterr().err
        assert not (lists / 'out').exists()
        assert main([*command, '--family', 'mine']) == 0
        assert read_list(lists / 'out/mine_2/unlabeled.txt') == ['2007_000003']

    def test_missing_lists_are_named(self, main, lists, tmp_path, capsys):
        (lists / 'unlabeled.txt').unlink()
        command = ['import', 'out', '--dataset', 'voc', '--from']
        assert main([*command, str(lists / 'labeled.txt')]) == 2
        assert 'expected a list of the unlabeled images' in capsys.readouterr().err
        (lists / 'labeled.txt').unlink()
        assert main([*command, str(lists)]) == 2
        assert 'no list with "labeled"' in capsys.readouterr().err

    def test_show_lists_published_splits(self, main, capsys):
        assert main(['show']) == 0
        found = capsys.readouterr().out
        assert all(name in found for name in PUBLISHED)
