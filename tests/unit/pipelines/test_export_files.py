"""Which files an export replaces, and which settings it refuses."""

from pathlib import Path

import pytest

from mmseg_wsss.pipelines.export_files import (
    ExportFormat,
    prepare_folder,
    record_inputs,
)


def export(out: Path, manifest: dict, names: str, overwrite: bool = False) -> set[str]:
    """Export empty files; return all files of the folder."""
    prepare_folder(out, manifest, list(names), overwrite)
    record_inputs(out, dict.fromkeys(names, 'digest'), overwrite)
    for name in names:
        (out / f'{name}.png').touch()
    return {path.name for path in out.iterdir()}


def test_overwriting_leaves_nothing_of_other_images(tmp_path):
    """An export of val over one of train: no mask of train is one of val."""
    own = {'manifest.json', 'inputs.json'}
    assert export(tmp_path, {'split': 'train'}, 'ab') == own | {'a.png', 'b.png'}
    (tmp_path / 'b.npz').touch()
    (tmp_path / 'mine.png').touch()  # no export has written it
    with pytest.raises(FileExistsError, match="split: expected 'val', found 'train'"):
        export(tmp_path, {'split': 'val'}, 'c')
    found = export(tmp_path, {'split': 'val'}, 'c', overwrite=True)
    assert found == own | {'c.png', 'mine.png'}
    found = export(tmp_path, {'split': 'train'}, 'a', overwrite=True)
    assert found == own | {'a.png', 'mine.png'}


@pytest.mark.parametrize('value', [45, -0.1])
def test_a_threshold_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match=f'bg_thr must be at .*, got {value}'):
        ExportFormat('cam', [[0, 0, 0]], bg_thr=value)
    assert ExportFormat('cam', [[0, 0, 0]], bg_thr=1.0).bg_thr == 1
