"""Parts of a SemiDataset with tags: labeled, tagged and unlabeled images."""

from pathlib import Path

import numpy as np
from mmengine.config import Config
from PIL import Image

from mmseg_wsss.datasets import SemiDataset
from mmseg_wsss.datasets.checks.check_splits import check_splits
from mmseg_wsss.datasets.checks.from_config import splits_from_config

CLASSES = ('background', 'cat', 'dog', 'cow')
LOAD = [{'type': 'LoadImageStrict'}]
MASK = [{'type': 'LoadAnnotationsStrict'}]
PACK = [{'type': 'PackWeakInputs'}]


def branches(*names: str) -> list[dict]:
    return [{'type': 'SemiMultiBranch', **dict.fromkeys(names, PACK)}]


PIPELINES = {
    'labeled': [*LOAD, *MASK, *branches('sup')],
    'tagged': [*LOAD, *branches('unsup_weak', 'unsup_strong')],
    'unlabeled': [*LOAD, *branches('unsup_weak', 'unsup_strong')],
}


def write_parts(folder: Path) -> Path:
    """Two labeled images, three tagged ones and two without any label."""
    for part in ('img', 'mask'):
        (folder / part).mkdir()
    for i in range(7):
        Image.new('RGB', (6, 4), (i, 0, 0)).save(folder / 'img' / f'{i}.png')
        mask = np.full((4, 6), 1 + i % 3, np.uint8)
        mask[0] = 0
        Image.fromarray(mask).save(folder / 'mask' / f'{i}.png')
    lists = {'labeled': '0\n1\n', 'tagged': '2\n3\n4\n', 'unlabeled': '5\n6\n'}
    lists['rest'] = lists['tagged'] + lists['unlabeled']
    for name, text in lists.items():
        (folder / f'{name}.txt').write_text(text)
    (folder / 'tags.csv').write_text('2,dog\n3,cow;cat\n4,cat\n')
    return folder


def part(folder: Path, name: str, ann_file: str | None = None) -> dict:
    return {
        'type': 'BaseSegDataset',
        'metainfo': {'classes': CLASSES},
        'data_root': str(folder),
        'ann_file': f'{ann_file or name}.txt',
        'data_prefix': {'img_path': 'img', 'seg_map_path': 'mask'},
        'img_suffix': '.png',
        'pipeline': PIPELINES[name],
    }


def config(folder: Path, **settings) -> dict:
    parts = {name: part(folder, name) for name in PIPELINES}
    return parts | {'tags': {'path': str(folder / 'tags.csv')}} | settings


def tags_of(dataset: SemiDataset) -> list[list[int] | None]:
    """Tag indices of every image, None if it has no tags."""
    found: list[list[int] | None] = []
    for i in range(len(dataset)):
        views = [v for v in dataset[i]['data_samples'].values() if v is not None]
        rows = [v.gt_tags.label.tolist() if 'gt_tags' in v else None for v in views]
        assert all(row == rows[0] for row in rows)
        found.append(rows[0] and [k for k, value in enumerate(rows[0]) if value])
    return found


def check(folder: Path, export: bool = False, **settings) -> list[str]:
    """Findings of the data check."""
    data = {'type': 'SemiDataset', **config(folder, **settings)}
    data = {key: value for key, value in data.items() if value is not None}
    loaders = ('train_dataloader', *['export_dataloader'] * export)
    cfg = Config({name: {'dataset': data} for name in loaders})
    splits, findings = splits_from_config(cfg)
    findings += check_splits(splits).findings
    return [f'{f.kind}: {f.message}' for f in findings]
