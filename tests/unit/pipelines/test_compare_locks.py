"""A run in training keeps what it is about to store."""

import json

from mmseg_wsss.pipelines.compare_run import restore
from mmseg_wsss.utils.locks import file_lock


def test_saved_scores_of_a_run_in_training_are_left_out(tmp_path, capsys):
    run = {
        'name': 'alone',
        'folder': 'cam/seed0-1',
        'network': None,
        'wanted': {'sources': [], 'tests': {'test': {}}},
        'scores': {'val/test': 50.0},
        'areas': {},
        'images': {},
    }
    report, root = tmp_path / 'report.json', tmp_path / 'runs'
    report.write_text(json.dumps({'runs': [run], 'images': {}}))
    folder = root / 'cam/seed0-1'
    with file_lock(folder / '.lock'):
        assert restore(report, root) == {folder}
    shown = capsys.readouterr().err
    assert shown.startswith(f'{folder} is in use: its saved scores are left out')
    assert not (folder / 'run.json').exists()
    restore(report, root)
    stored = json.loads((folder / 'run.json').read_text())
    assert stored['scores'] == run['scores']
