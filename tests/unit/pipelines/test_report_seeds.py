"""Which labels of the seeds a report evaluates and draws."""

import numpy as np
import pytest
from mmseg.datasets import BaseSegDataset
from PIL import Image

from mmseg_wsss.datasets.label_maps import voc_palette
from mmseg_wsss.pipelines.report import Images, write_report


@pytest.mark.parametrize(
    ('threshold', 'title', 'score'),
    [
        (0.45, 'seeds (threshold 0.05)', 100),  # soft maps at their best threshold
        (None, 'seeds', 75),  # exported labels, IoU: 0.5 and 1
    ],
)
def test_soft_maps_or_exported_labels(tmp_path, threshold, title, score):
    for folder in ('img', 'gt', 'seeds'):
        (tmp_path / folder).mkdir()
    Image.new('RGB', (4, 2)).save(tmp_path / 'img/a.png')
    gt = np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.uint8)
    exported = np.array([[0, 255, 1, 1], [0, 255, 1, 1]], np.uint8)
    Image.fromarray(gt).save(tmp_path / 'gt/a.png')
    Image.fromarray(exported).save(tmp_path / 'seeds/a.png')
    prob = np.stack([1 - gt * 0.1, gt * 0.1]).astype(np.float16)
    np.savez(tmp_path / 'seeds/a.npz', prob=prob, channels=np.arange(2))
    dataset = BaseSegDataset(
        data_root=str(tmp_path),
        data_prefix={'img_path': 'img', 'seg_map_path': 'gt'},
        img_suffix='.png',
        metainfo={'classes': ('background', 'cat'), 'palette': voc_palette(2)},
    )
    part = Images('training images', dataset, {}, tmp_path / 'seeds', threshold)
    scores = write_report([part], tmp_path / 'report', {})
    assert scores == {f'{title}, training images': pytest.approx(score)}
    page = (tmp_path / 'report/report.html').read_text()
    assert f'<figcaption>{title}</figcaption>' in page
