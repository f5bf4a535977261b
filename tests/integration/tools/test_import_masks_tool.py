"""tools/import_masks.py as its users run it, and what reads its output."""

import csv
import json
import re

import numpy as np
import pytest
from helpers.tiny import TAG_NAMES, TAGS
from tool_files import save_png, words

from mmseg_wsss.datasets.label_maps import read_label_map
from mmseg_wsss.datasets.region_files import regions_of_numbers
from mmseg_wsss.datasets.tags.class_names import class_names
from mmseg_wsss.datasets.transforms import LoadPseudoLabel
from mmseg_wsss.registry import DATASETS


@pytest.fixture
def main(tool):
    return tool('import_masks').main


def command(root, masks, out, *options):
    images = ('--images', root / 'JPEGImages', '--tags', root / 'tags_train.json')
    classes = ('--classes', ','.join(TAG_NAMES), '--workers', 0, '--allow-empty')
    return words(masks, *images, *classes, '--out', out, *options)


@pytest.mark.filterwarnings('ignore:.*have no tag')
def test_datasets_read_imported_masks(main, tiny_voc, tmp_path, capsys):
    masks = tiny_voc / 'SegmentationClass'
    assert main(command(tiny_voc, masks, tmp_path, '--pseudo', masks)) == 0
    shown = capsys.readouterr().out
    assert '8 images: 8 accepted' in shown
    assert 'disagreement with the pseudo-masks (1 - mIoU of an image, mean): 0.000' in (
        shown
    )
    inner = dict(
        type='ImageFolder',
        data_root=str(tiny_voc / 'JPEGImages'),
        classes=TAG_NAMES,
        data_prefix=dict(img_path='', seg_map_path=str(tmp_path / 'masks')),
    )
    pipeline = [dict(type='LoadImageStrict'), dict(type='PackWeakInputs')]
    weak = dict(type='WeakDataset', dataset=inner, pipeline=pipeline)
    tags = dict(source='masks', allow_empty=True)
    dataset = DATASETS.build({**weak, 'tags': tags})
    found = [dataset.tags.labels(name) for name in map(str, range(8))]
    # An object may hide another one.
    for labels, wanted in zip(found, TAGS):
        assert set(labels) <= {TAG_NAMES[k] for k in wanted}
        assert bool(labels) == bool(wanted)
    load = LoadPseudoLabel(str(tmp_path / 'masks'), num_classes=1 + len(TAG_NAMES))
    truth = read_label_map(masks / '1.png')
    sample = load({'img_path': 'JPEGImages/1.png', 'ori_shape': truth.shape})
    assert np.array_equal(sample['pseudo_label'], truth)


def test_true_regions_of_voc_get_their_classes_back(main, shared, tmp_path, capsys):
    """Regions of one class vote for it, by a pseudo-mask of which a third is noise."""
    root = shared / 'data/voc-mini/VOC2012'
    names = (root / 'ImageSets/Segmentation/train.txt').read_text().split()[:6]
    rng = np.random.default_rng(0)
    tags, truth = {}, {}
    classes = class_names('voc')
    for name in names:
        gt = truth[name] = read_label_map(root / f'SegmentationClass/{name}.png')
        present = [int(v) for v in np.unique(gt) if v != 255]
        tags[name] = [classes[v - 1] for v in present if v]
        wrong = rng.random(gt.shape) < 1 / 3
        noise = rng.integers(0, 21, gt.shape)
        save_png(tmp_path / f'pseudo/{name}.png', np.where(wrong, noise, gt))
        entries = []
        for region in regions_of_numbers(np.where(gt == 255, 0, gt + 1)):
            mask = np.zeros(gt.size, bool)
            mask[region] = True
            flat = mask.reshape(gt.shape).T.ravel()
            edges = np.flatnonzero(np.diff(flat)) + 1
            counts = np.diff([0, *edges, flat.size]).tolist()
            counts = [0, *counts] if flat[0] else counts
            size = list(gt.shape)
            entries.append({'segmentation': {'size': size, 'counts': counts}})
        (tmp_path / 'sam').mkdir(exist_ok=True)
        (tmp_path / f'sam/{name}.json').write_text(json.dumps(entries))
    (tmp_path / 'tags.json').write_text(json.dumps(tags))
    (tmp_path / 'list.txt').write_text('\n'.join(names))
    options = words(
        *(tmp_path / 'sam', '--class-free', '--pseudo', tmp_path / 'pseudo'),
        *('--images', root / 'JPEGImages', '--tags', tmp_path / 'tags.json'),
        *('--classes', 'voc', '--list', tmp_path / 'list.txt', '--workers', 2),
        *('--uncovered', 'ignore', '--out', tmp_path / 'out'),
    )
    assert main(options) == 0
    for name in names:
        found = read_label_map(tmp_path / f'out/masks/{name}.png')
        assert np.array_equal(found, truth[name])
    report = json.loads((tmp_path / 'out/report.json').read_text())
    coverage = [row['coverage'] for row in report['classes'].values()]
    assert set(coverage) == {1.0, None}
    with open(tmp_path / 'out/disagreement.csv') as file:
        rows = list(csv.DictReader(file))
    found = [float(row['disagreement']) for row in rows]
    assert len(found) == 6
    assert found == sorted(found, reverse=True)
    assert '6 images: 6 accepted' in capsys.readouterr().out


def test_lists_of_images_with_an_inner_suffix(main, tmp_path, tool, monkeypatch):
    save_png(tmp_path / 'img/scan.tif.png', np.zeros((4, 6)))
    save_png(tmp_path / 'mask/scan.tif.png', np.ones((4, 6)))
    (tmp_path / 'tags.csv').write_text('scan,cat\n')
    options = words(
        *(tmp_path / 'mask', '--images', tmp_path / 'img', '--classes', 'cat'),
        *('--tags', tmp_path / 'tags.csv', '--out', tmp_path / 'out', '--workers', 0),
    )
    assert main(options) == 0
    accepted = tmp_path / 'out/accepted.txt'
    assert accepted.read_text() == 'scan.tif\n'
    assert main([*options, '--list', str(accepted)]) == 0
    folders = tmp_path / 'out/masks', tmp_path / 'mask'
    argv = words('x', *folders, '--classes', 'background,cat', '--list', accepted)
    scores = tmp_path / 'scores.json'
    monkeypatch.setattr('sys.argv', [*argv, *words('--workers', 0, '--json', scores)])
    tool('misc/eval_pseudo_labels').main()
    classes = json.loads(scores.read_text())['classes']
    assert classes['names'] == ['background', 'cat']
    assert classes['IoU'] == [None, 100]


@pytest.mark.filterwarnings('ignore:.*have no tag')
@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--class-free'], 'error: class-free masks .* name their folder'),
        (['--min-coverage', '50'], 'error: min_coverage must be in'),
        (['--mask-suffix', '_x.png'], 'error: .*expected masks named as the images'),
        (['--pseudo', 'gone'], 'error: .*gone/0.png: expected the pseudo-mask'),
        (['--classes', 'red,green'], r'error: .*tags_train\.json: 7 problem'),
    ],
)
def test_errors_are_one_line(main, tiny_voc, tmp_path, capsys, options, message):
    arguments = command(tiny_voc, tiny_voc / 'SegmentationClass', tmp_path / 'out')
    with pytest.raises(SystemExit) as caught:
        main([*arguments, *options])
    assert caught.value.code == 2
    shown = capsys.readouterr().err
    first, *_ = shown.splitlines()
    assert re.match(message, first), shown
    assert 'Traceback' not in shown
    assert not (tmp_path / 'out').exists()
