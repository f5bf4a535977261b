"""Converters, run as their users run them."""

import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import mmseg
import numpy as np
import pytest
from mmseg.datasets import COCOStuffDataset, PascalVOCDataset
from PIL import Image
from scipy.io import savemat
from tool_files import load_module, save_png, status, words, write_list

from mmseg_wsss.datasets.tags.class_names import class_names
from mmseg_wsss.datasets.tags.image_tags import ImageTags

VOC = PascalVOCDataset.METAINFO['classes'][1:]
STUFF = COCOStuffDataset.METAINFO['classes']


def save_mat(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, content)


def labels_of(path):
    return np.array(Image.open(path))


def interrupt(*_, **__):
    raise KeyboardInterrupt


# Image tags


@pytest.mark.parametrize('suffix', ['json', 'csv', 'txt'])
def test_tags_of_real_masks(tool, shared, tmp_path, capsys, suffix):
    root = shared / 'data/voc-mini/VOC2012'
    names = (root / 'ImageSets/Segmentation/val.txt').read_text().split()[:30]
    write_list(tmp_path / 'list.txt', *names)
    out = tmp_path / f'tags.{suffix}'
    options = ('--classes', 'voc', '--list', tmp_path / 'list.txt', '--workers', 2)
    main = tool('dataset_converters/image_tags').main
    assert main(words(out, '--masks', root / 'SegmentationClass', *options)) == 0
    tags = ImageTags.load(out, VOC, images=names)
    for name in names:
        found = np.unique(labels_of(root / f'SegmentationClass/{name}.png'))
        wanted = [VOC[label - 1] for label in found if 0 < label < 255]
        assert tags.labels(name) == wanted
    shown = capsys.readouterr().out
    assert '30 images' in shown
    assert f'{tags.counts()["person"]}' in shown.split('person')[1].splitlines()[0]


def test_tags_of_xml_and_of_other_tag_files(tool, tmp_path):
    text = (
        '<annotation><object><name>dog</name></object>'
        '<object><name>cat</name><difficult>1</difficult></object></annotation>'
    )
    (tmp_path / 'xml').mkdir()
    (tmp_path / 'xml/a.xml').write_text(text)
    main = tool('dataset_converters/image_tags').main
    first, second = tmp_path / 'all.csv', tmp_path / 'easy.json'
    source = ('--voc-xml', tmp_path / 'xml', '--classes', 'cat,dog')
    assert main(words(first, *source)) == 0
    assert main(words(second, *source, '--skip-difficult')) == 0
    assert first.read_text() == 'image,tags\na,cat;dog\n'
    assert json.loads(second.read_text()) == {'a': ['dog']}
    third = tmp_path / 'third.json'
    write_list(tmp_path / 'list.txt', 'a')
    first.write_text('a,cat;dog\nb,cat\n')  # b is not in the list
    options = ('--classes', 'cat,dog', '--list', tmp_path / 'list.txt')
    assert main(words(third, '--tags', first, *options)) == 0
    assert json.loads(third.read_text()) == {'a': ['cat', 'dog']}


def test_tags_of_coco_take_its_categories(tool, tmp_path):
    content = {
        'images': [{'id': 1, 'file_name': 'x/a.jpg'}, {'id': 2, 'file_name': 'b.jpg'}],
        'categories': [{'id': 5, 'name': 'dog'}, {'id': 3, 'name': 'cat'}],
        'annotations': [{'id': 1, 'image_id': 1, 'category_id': 5}],
    }
    (tmp_path / 'coco.json').write_text(json.dumps(content))
    out = tmp_path / 'tags.json'
    main = tool('dataset_converters/image_tags').main
    assert status(main, words(out, '--coco', tmp_path / 'coco.json')) == 2
    assert not out.exists()
    options = ('--coco', tmp_path / 'coco.json', '--allow-empty')
    assert main(words(out, *options)) == 0
    assert json.loads(out.read_text()) == {'x/a': ['dog'], 'b': []}


def test_tags_from_bad_sources_list_the_problems_and_write_nothing(
    tool, tmp_path, capsys
):
    save_png(tmp_path / 'masks/a.png', [[1, 9]])
    (tmp_path / 'masks/b.png').write_bytes(b'\x89PNG\r\n')
    out = tmp_path / 'tags.json'
    main = tool('dataset_converters/image_tags').main
    source = ('--masks', tmp_path / 'masks', '--classes', 'cat,dog')
    assert status(main, words(out, *source)) == 2
    shown = capsys.readouterr().err
    assert 'a.png: labels [9] outside [0, 2]' in shown
    assert 'b.png: unreadable label map' in shown
    (tmp_path / 'cls_labels.npy').write_bytes(pickle.dumps({'a': [1]}))
    source = ('--tags', tmp_path / 'cls_labels.npy', '--classes', 'cat,dog')
    assert status(main, words(out, *source)) == 2
    assert 'never read from NumPy or pickle' in capsys.readouterr().err
    write_list(tmp_path / 'list.txt', 'a', '../../etc/x')
    source = ('--masks', tmp_path / 'masks', '--classes', 'cat')
    assert status(main, words(out, *source, '--list', tmp_path / 'list.txt')) == 2
    assert "list.txt:2: '../../etc/x' leaves the folder" in capsys.readouterr().err
    assert not out.exists()


def test_tags_of_nothing_replace_no_file(tool, tmp_path, capsys):
    out, empty = tmp_path / 'tags.json', tmp_path / 'empty'
    out.write_text('{"a": ["cat"]}')
    empty.mkdir()
    for source in ('--voc-xml', '--masks'):
        command = words(out, source, empty, '--classes', 'cat,dog')
        assert status(tool('dataset_converters/image_tags').main, command) == 2
        assert 'no image was found' in capsys.readouterr().err
    assert out.read_text() == '{"a": ["cat"]}'


def test_tags_interrupted(tool, tmp_path, monkeypatch, capsys):
    save_png(tmp_path / 'masks/a.png', [[1]])
    main = tool('dataset_converters/image_tags').main
    monkeypatch.setattr('mmseg_wsss.datasets.tags.from_masks._read_tags', interrupt)
    source = ('--masks', tmp_path / 'masks', '--classes', 'cat', '--workers', 0)
    assert status(main, words(tmp_path / 'tags.json', *source)) == 130
    assert capsys.readouterr().err.endswith('interrupted\n')
    assert not (tmp_path / 'tags.json').exists()


def test_class_names(tmp_path):
    assert class_names('voc') == VOC
    assert class_names('PascalVOCDataset') == VOC
    assert class_names('coco_stuff') == STUFF
    assert class_names('dog') == ('dog',)
    assert class_names('dog, traffic light') == ('dog', 'traffic light')
    (tmp_path / 'names.txt').write_text('background\ndog\n\nhot dog\n')
    assert class_names(str(tmp_path / 'names.txt')) == ('dog', 'hot dog')
    with pytest.raises(ValueError, match='names no foreground class'):
        class_names('background')


# VOC 2012 and SBD


@pytest.fixture
def voc(tmp_path):
    """A VOC of 2 + 2 images, and an SBD of 4 of which 1 is VOC train, 1 VOC val."""
    root, sbd = tmp_path / 'VOC2012', tmp_path / 'benchmark_RELEASE/dataset'
    lists = root / 'ImageSets/Segmentation'
    write_list(lists / 'train.txt', 't1', 't2')
    write_list(lists / 'val.txt', 'v1', 'v2')
    for number, name in enumerate(['t1', 't2', 'v1', 'v2'], 1):
        save_png(
            root / f'SegmentationClass/{name}.png', [[number, 255], [0, 0], [0, 0]]
        )
    write_list(sbd / 'train.txt', 's2', 't2')
    write_list(sbd / 'val.txt', 's1', 'v2')
    for number, name in enumerate(['s1', 's2', 't2', 'v2'], 11):
        mask = np.array([[number, 0], [0, 20], [0, 0]], dtype=np.uint8)
        content = {'Segmentation': mask, 'Boundaries': np.zeros((20, 1), dtype=object)}
        save_mat(sbd / f'cls/{name}.mat', {'GTcls': content})
    return root


def read_names(voc, name):
    return (voc / f'ImageSets/Segmentation/{name}.txt').read_text().split()


def test_train_aug_of_sbd(tool, voc, capsys):
    main = tool('dataset_converters/voc_sbd').main
    command = words(voc, '--sbd', voc.parent / 'benchmark_RELEASE')
    assert status(main, command) == 2
    assert 'expected 10582 images in train_aug, found 4' in capsys.readouterr().err
    assert not (voc / 'SegmentationClassAug').exists()
    assert main([*command, '--expect', '4']) == 0
    assert read_names(voc, 'train_aug') == ['s1', 's2', 't1', 't2']
    assert read_names(voc, 'aug') == ['s1', 's2']
    masks = voc / 'SegmentationClassAug'
    assert sorted(os.listdir(masks)) == [
        f'{n}.png' for n in ('s1', 's2', 't1', 't2', 'v1', 'v2')
    ]
    assert labels_of(masks / 's1.png').tolist() == [[11, 0], [0, 20], [0, 0]]
    assert labels_of(masks / 't2.png').tolist() == [[2, 255], [0, 0], [0, 0]]
    assert labels_of(masks / 'v2.png').tolist() == [[4, 255], [0, 0], [0, 0]]
    image = Image.open(masks / 's1.png')
    assert image.mode == 'P'
    assert image.getpalette()[33:36] == PascalVOCDataset.METAINFO['palette'][11]
    assert 'image_tags.py' in capsys.readouterr().out


def test_train_aug_resumes(tool, voc, monkeypatch):
    module = tool('dataset_converters/voc_sbd')
    command = words(voc, '--sbd', voc.parent / 'benchmark_RELEASE', '--expect', 4)
    command += ['--workers', '0']
    real, done = module.write_label_map, []

    def write_three(path, *rest):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(path.name)
        real(path, *rest)

    monkeypatch.setattr(module, 'write_label_map', write_three)
    assert status(module.main, command) == 130
    assert sorted(os.listdir(voc / 'SegmentationClassAug')) == sorted(done)
    assert not (voc / 'ImageSets/Segmentation/train_aug.txt').exists()
    first, done[:] = list(done), []
    assert module.main(command) == 0
    assert len(done) == 3 and not set(done) & set(first)
    assert len(os.listdir(voc / 'SegmentationClassAug')) == 6


def test_train_aug_of_archives(tool, voc):
    archive = voc.parent / 'sbd.tgz'
    with tarfile.open(archive, 'w:gz') as file:
        file.add(voc.parent / 'benchmark_RELEASE', 'benchmark_RELEASE')
    main = tool('dataset_converters/voc_sbd').main
    assert main(words(voc, '--sbd', archive, '--expect', 4, '--out', 'FromSBD')) == 0
    with zipfile.ZipFile(voc.parent / 'ready.zip', 'w') as file:
        for path in (voc / 'FromSBD').iterdir():
            file.write(path, f'SegmentationClassAug/{path.name}')
        file.writestr('__MACOSX/SegmentationClassAug/._s1.png', b'x')
    (voc / 'ImageSets/Segmentation/train_aug.txt').unlink()
    assert main(words(voc, '--ready', voc.parent / 'ready.zip', '--expect', 4)) == 0
    assert read_names(voc, 'train_aug') == ['s1', 's2', 't1', 't2']
    for path in (voc / 'FromSBD').iterdir():
        again = voc / 'SegmentationClassAug' / path.name
        assert np.array_equal(labels_of(path), labels_of(again))
    # A ready folder in its place: only the lists are written.
    (voc / 'ImageSets/Segmentation/train_aug.txt').unlink()
    assert main(words(voc, '--ready', voc / 'SegmentationClassAug', '--expect', 4)) == 0
    assert read_names(voc, 'aug') == ['s1', 's2']


def test_train_aug_names_unusable_masks(tool, voc, capsys):
    cls = voc.parent / 'benchmark_RELEASE/dataset/cls'
    (cls / 's1.mat').write_bytes((cls / 's1.mat').read_bytes()[:150])
    bad = np.full((2, 2), 21, dtype=np.uint8)
    save_mat(cls / 's2.mat', {'GTcls': {'Segmentation': bad}})
    main = tool('dataset_converters/voc_sbd').main
    command = words(voc, '--sbd', voc.parent / 'benchmark_RELEASE', '--expect', 4)
    assert status(main, command) == 2
    shown = capsys.readouterr().err
    assert '2 unusable masks' in shown
    assert 's1.mat: not an annotation of SBD' in shown
    assert 's2.mat: labels [21] outside [0, 20]' in shown
    assert not (voc / 'ImageSets/Segmentation/train_aug.txt').exists()


def test_train_aug_runs_no_code_and_writes_only_in_its_folder(tool, voc, capsys):
    mark = voc.parent / 'executed'

    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(mark),)

    sbd = voc.parent / 'benchmark_RELEASE/dataset'
    (sbd / 'cls/s1.mat').write_bytes(pickle.dumps(Payload()))
    main = tool('dataset_converters/voc_sbd').main
    command = words(voc, '--sbd', voc.parent / 'benchmark_RELEASE', '--expect', 0)
    assert status(main, command) == 2
    assert 's1.mat: not an annotation of SBD' in capsys.readouterr().err
    assert not mark.exists()
    write_list(sbd / 'train.txt', 's2', '../../etc/x')
    assert status(main, command) == 2
    assert "train.txt:2: '../../etc/x' leaves the folder" in capsys.readouterr().err
    with tarfile.open(voc.parent / 'evil.tar', 'w') as file:
        file.addfile(tarfile.TarInfo('../evil.txt'), io.BytesIO())
    assert status(main, words(voc, '--sbd', voc.parent / 'evil.tar')) == 2
    assert "'../evil.txt' leaves the folder" in capsys.readouterr().err
    assert not list(voc.parent.parent.rglob('evil.txt'))


def test_train_aug_of_the_published_lists(tool, shared, tmp_path, capsys):
    """The 10,582 names come out of VOC's lists and masks for train_aug and val."""
    lists = shared / 'data/splits/voc'
    train_aug = (lists / 'train_aug.txt').read_text().split()
    val = (lists / 'val.txt').read_text().split()
    train = (lists / 'classic_1464/labeled.txt').read_text().split()
    folder = tmp_path / 'VOC2012/SegmentationClassAug'
    folder.mkdir(parents=True)
    for name in train_aug + val:
        (folder / f'{name}.png').touch()
    write_list(tmp_path / 'VOC2012/ImageSets/Segmentation/train.txt', *train)
    write_list(tmp_path / 'VOC2012/ImageSets/Segmentation/val.txt', *val)
    main = tool('dataset_converters/voc_sbd').main
    assert main(words(tmp_path / 'VOC2012', '--ready', folder)) == 0
    assert read_names(tmp_path / 'VOC2012', 'train_aug') == sorted(train_aug)
    assert len(read_names(tmp_path / 'VOC2012', 'aug')) == 10582 - 1464
    (folder / f'{train_aug[7]}.png').unlink()
    assert status(main, words(tmp_path / 'VOC2012', '--ready', folder)) == 2
    assert 'expected 10582 images in train_aug, found 10581' in capsys.readouterr().err


# COCO-Stuff 10K


@pytest.fixture
def stuff(tmp_path):
    """COCO-Stuff of 2 + 1 images; the first shows every id that is a class."""
    root = tmp_path / 'cocostuff-10k'
    ids = [
        k for k in range(183) if k not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)
    ]
    masks = {'a': [ids], 'b': [[0, 1, 13]], 'c': [[182, 182, 0]]}
    for name, mask in masks.items():
        save_mat(
            root / f'annotations/{name}.mat', {'S': np.array(mask, dtype=np.uint16)}
        )
        (root / 'images').mkdir(exist_ok=True)
        Image.new('RGB', (len(mask[0]), 1)).save(root / f'images/{name}.jpg')
    write_list(root / 'imageLists/train.txt', 'a', 'b')
    write_list(root / 'imageLists/test.txt', 'c')
    return root


def test_coco_stuff_layout_serves_mmseg(tool, stuff, tmp_path, capsys):
    main = tool('dataset_converters/coco_stuff10k').main
    assert status(main, words(stuff)) == 2
    assert 'expected 9000 images in train, found 2' in capsys.readouterr().err
    out = tmp_path / 'out'
    assert main(words(stuff, '-o', out, '--any-size')) == 0
    data = COCOStuffDataset(
        data_root=str(out),
        data_prefix={
            'img_path': 'images/train2014',
            'seg_map_path': 'annotations/train2014',
        },
        reduce_zero_label=True,
    )
    assert [Path(data[i]['img_path']).stem for i in range(len(data))] == ['a', 'b']
    assert labels_of(data[0]['seg_map_path']).tolist() == [list(range(172))]
    assert labels_of(data[1]['seg_map_path']).tolist() == [[0, 1, 12]]
    tags = json.loads((out / 'tags_train.json').read_text())
    assert tags == {'a': list(STUFF), 'b': ['person', 'stop sign']}
    assert json.loads((out / 'tags_test.json').read_text()) == {'c': ['wood']}
    assert (out / 'train.txt').read_text() == 'a\nb\n'


def test_coco_stuff_masks_equal_those_of_mmseg(tool, stuff, tmp_path):
    path = (
        Path(mmseg.__file__).parent / '.mim/tools/dataset_converters/coco_stuff10k.py'
    )
    if not path.is_file():
        pytest.skip(f'mmseg was installed without its tools ({path})')
    theirs, ours = tmp_path / 'theirs', tmp_path / 'ours'
    for kind in ('images', 'annotations'):
        (theirs / kind / 'train2014').mkdir(parents=True)
    for name in 'ab':
        load_module(path).convert_to_trainID(
            (f'{name}.jpg', f'{name}.mat'),
            str(stuff / 'images'),
            str(stuff / 'annotations'),
            str(theirs / 'images'),
            str(theirs / 'annotations'),
            is_train=True,
        )
    main = tool('dataset_converters/coco_stuff10k').main
    assert main(words(stuff, '-o', ours, '--any-size')) == 0
    for path in theirs.rglob('*.*'):
        again = ours / path.relative_to(theirs)
        assert np.array_equal(labels_of(path), labels_of(again))
    # What mmseg's converter made is kept, and completed.
    kept = theirs / 'annotations/train2014/a_labelTrainIds.png'
    before = kept.stat().st_mtime_ns, kept.read_bytes()
    assert main(words(stuff, '-o', theirs, '--any-size')) == 0
    assert (kept.stat().st_mtime_ns, kept.read_bytes()) == before
    assert (theirs / 'tags_train.json').read_bytes() == (
        ours / 'tags_train.json'
    ).read_bytes()


def test_coco_stuff_from_an_archive_and_with_bad_labels(tool, stuff, tmp_path, capsys):
    save_mat(stuff / 'annotations/b.mat', {'S': np.array([[12, 91, 183, 5]])})
    save_mat(stuff / 'annotations/a.mat', {'T': np.array([[1]])})
    archive = tmp_path / 'stuff.zip'
    with zipfile.ZipFile(archive, 'w') as file:
        for path in stuff.rglob('*.*'):
            file.write(path, path.relative_to(tmp_path))
    main = tool('dataset_converters/coco_stuff10k').main
    assert status(main, words(archive, '-o', tmp_path / 'out', '--any-size')) == 2
    shown = capsys.readouterr().err
    assert 'b.mat: ids [12, 91, 183] are not classes' in shown
    assert 'a.mat: not an annotation of COCO-Stuff' in shown
    assert not (tmp_path / 'out/tags_train.json').exists()
