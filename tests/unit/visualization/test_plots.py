import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_wsss.visualization import plots
from mmseg_wsss.visualization.plots import plot_losses, read_scalars


def write(path: Path, lines: list[dict], tail: str = '') -> Path:
    path.write_text('\n'.join(map(json.dumps, lines)) + '\n' + tail)
    return path


def entry(step: int, **values: float) -> dict:
    return {'loss': 2.0 / step, 'loss_cls': 1.0 / step, 'step': step, **values}


def orange(image: np.ndarray) -> int:
    """Number of pixels in the color of the wave."""
    return int((image == [255, 127, 14]).all(axis=-1).sum())


def test_plot_is_written_and_returned(tmp_path: Path) -> None:
    lines = [entry(step, pwm=float(step in (30, 40))) for step in range(10, 101, 10)]
    path = write(tmp_path / 'scalars.json', [*lines, {'mIoU': 3.0, 'step': 100}])
    image = plot_losses(path, tmp_path / 'plots/losses.png')
    with Image.open(tmp_path / 'plots/losses.png') as file:
        assert np.array(file.convert('RGB')).tolist() == image.tolist()
    assert list((tmp_path / 'plots').iterdir()) == [tmp_path / 'plots/losses.png']
    low = write(tmp_path / 'low.json', [{**line, 'pwm': 0.0} for line in lines])
    assert orange(image) > orange(plot_losses(low, tmp_path / 'low.png')) + 100


def test_wave_is_drawn_from_a_function(tmp_path: Path) -> None:
    path = write(tmp_path / 'scalars.json', [entry(10), entry(200)])
    calls: list[int] = []

    def wave(step: int) -> bool:
        calls.append(step)
        return step % 50 < 25

    image = plot_losses(path, tmp_path / 'a.png', wave=wave)
    assert calls == list(range(200))
    bare = plot_losses(path, tmp_path / 'b.png')
    assert orange(image) > orange(bare) + 1000


def test_a_resumed_run_replaces_the_steps_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}
    monkeypatch.setattr(
        plots,
        '_draw_losses',
        lambda axes, entries, steps: drawn.update(entries=entries, steps=steps),
    )
    first = write(tmp_path / '1.json', [entry(10), entry(20), entry(30)])
    second = write(tmp_path / '2.json', [{**entry(20), 'loss': 9.0}, entry(40)])
    plot_losses([first, second], tmp_path / 'a.png')
    assert drawn['steps'] == [10, 20, 30, 40]
    assert [line['loss'] for line in drawn['entries']] == [0.2, 9.0, 2 / 30, 0.05]


def test_only_a_cut_off_last_line_is_forgiven(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.json', [entry(10)], tail='{"loss": 1')
    assert read_scalars(path) == [entry(10)]
    path.write_text('{"loss": 1\n' + json.dumps(entry(10)))
    with pytest.raises(ValueError, match=r'a\.json, line 1'):
        read_scalars(path)


def test_no_losses_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.json', [{'mIoU': 3.0, 'step': 1}])
    with pytest.raises(ValueError, match=r'expected losses in .*a\.json'):
        plot_losses(path, tmp_path / 'a.png')
