import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_wsss.pipelines.label_files import evaluate_label_files


def write(path: Path, labels: list, mode: str = 'P') -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(labels, dtype=np.uint8))
    if mode == 'P':
        image.putpalette(list(range(255, -1, -1)) * 3)
    image.save(path)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    pred, gt = tmp_path / 'pred', tmp_path / 'gt'
    write(gt / 'a.png', [[0, 0, 1, 1]])
    write(gt / 'sub/b.png', [[1, 1, 0, 255]], mode='L')
    write(pred / 'a.png', [[0, 255, 1, 0]])
    write(pred / 'sub/b.png', [[1, 1, 1, 1]])
    return pred, gt


@pytest.mark.parametrize('num_workers', [0, 2])
def test_files_score_as_their_maps(
    folders: tuple[Path, Path], num_workers: int
) -> None:
    names = ['a', 'sub/b']
    scores = evaluate_label_files(
        *folders, names, 2, num_workers=num_workers, progress=True
    )
    assert scores.iou.tolist() == pytest.approx([1 / 4, 3 / 5])
    assert scores.coverage == pytest.approx(6 / 7)


def test_zero_label_of_the_truth_is_unlabeled(tmp_path: Path) -> None:
    write(tmp_path / 'gt/a.png', [[0, 1, 2, 255]])
    write(tmp_path / 'pred/a.png', [[0, 0, 0, 0]])
    scores = evaluate_label_files(
        tmp_path / 'pred', tmp_path / 'gt', ['a'], 2, reduce_zero_label=True
    )
    assert scores.iou.tolist() == [0.5, 0]


def test_suffixes_and_labels_without_background(tmp_path: Path) -> None:
    write(tmp_path / 'a_gt.png', [[0, 0, 1, 1]])
    write(tmp_path / 'a_pred.png', [[0, 1, 1, 1]])
    options = {'pred_suffix': '_pred.png', 'gt_suffix': '_gt.png'}
    found = [
        evaluate_label_files(tmp_path, tmp_path, ['a'], 2, background=bg, **options)
        for bg in (True, False)
    ]
    assert found[0].iou.tolist() == pytest.approx([1 / 2, 2 / 3])
    over = [scores.summary()['over_activation'] for scores in found]
    assert over[0] == pytest.approx(100 / 3, abs=0.01)
    assert math.isnan(over[1])


def test_missing_file_is_named(folders: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match=r'gone\.png'):
        evaluate_label_files(*folders, ['a', 'gone'], 2)


@pytest.mark.parametrize('num_workers', [0, 2])
def test_label_outside_the_range_is_named(
    folders: tuple[Path, Path], num_workers: int
) -> None:
    write(folders[0] / 'a.png', [[0, 2, 1, 0]])
    with pytest.raises(ValueError, match=r'a\.png .*label map, found \[2\]'):
        evaluate_label_files(*folders, ['sub/b', 'a'], 2, num_workers=num_workers)


def test_truncated_file_is_named(folders: tuple[Path, Path]) -> None:
    path = folders[0] / 'a.png'
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r'a\.png: unreadable'):
        evaluate_label_files(*folders, ['a'], 2)


def test_a_name_may_not_leave_the_folder(folders: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match=r'leaves the folder'):
        evaluate_label_files(*folders, ['a', '../gt/a'], 2)
