"""The tool that draws and imports splits, and the lists it reads."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from mmseg_wsss.datasets.checks.from_folder import split_from_folder
from mmseg_wsss.datasets.splits.own_lists import read_own_list
from mmseg_wsss.datasets.splits.published import PUBLISHED
from mmseg_wsss.datasets.splits.split_lists import read_list
from mmseg_wsss.datasets.splits.upstream_lists import read_upstream_list
from mmseg_wsss.datasets.start_checks import check_list
from mmseg_wsss.datasets.tags import tags_from_masks
from mmseg_wsss.datasets.tags.class_names import class_names

ROOT = Path(__file__).resolve().parents[4]
NAMES = [f'{i:03d}' for i in range(40)]


@pytest.fixture
def main():
    path = ROOT / 'tools/dataset_converters/semi_splits.py'
    spec = importlib.util.spec_from_file_location('semi_splits_tool', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def status(argv: list[str]) -> int:
        try:
            return module.main(argv)
        except SystemExit as error:
            return error.code

    return status


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

    def test_names_that_exist(self, tmp_path):
        path = tmp_path / 'list.txt'
        path.write_text('scan.tif\nb.tif\n')
        with pytest.raises(ValueError, match=r"txt:2: .* found 'b\.tif'"):
            read_list(path, known={'scan.tif'})

    @pytest.mark.parametrize(
        'read',
        [
            read_list,
            read_own_list,
            class_names,
            lambda path: read_upstream_list(path, 'voc'),
            lambda path: split_from_folder('train', path.parent, split_file=path),
            lambda path: check_list({'type': 'X', 'ann_file': path}),
        ],
    )
    def test_another_encoding(self, tmp_path, read):
        path = tmp_path / 'list.txt'
        path.write_bytes('a\n'.encode('utf-16'))
        with pytest.raises(ValueError, match=r'list\.txt: expected UTF-8'):
            read(path)


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

    def test_tags_of_other_images_do_not_matter(self, main, tmp_path):
        (tmp_path / 'all.txt').write_text('a\nb\n')
        (tmp_path / 'tags.csv').write_text('a,cat\nb,dog\nc,cat\n')
        options = ['--balance', str(tmp_path / 'tags.csv'), '--classes', 'cat,dog']
        options += ['--list', str(tmp_path / 'all.txt'), '--sizes', '1']
        assert main(['draw', str(tmp_path), *options]) == 0
        (split,) = tmp_path.glob('*_1')
        assert read_list(split / 'labeled.txt')[0] in 'ab'

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
        for size, name in (([], 'mine_2'), (['--size', '1_16'], 'mine_1_16')):
            assert main([*command, '--family', 'mine', *size]) == 0
            names = read_list(lists / f'out/{name}/unlabeled.txt')
            assert names == ['2007_000003']

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
