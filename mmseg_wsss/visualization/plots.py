"""Plot training curves from the scalars that MMEngine logs."""

import io
import json
import os
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mmseg_wsss.utils.files import StrPath, atomic_write


def read_scalars(path: StrPath) -> list[dict]:
    """Read the lines of a ``scalars.json`` file, oldest first.

    An incomplete last line, as a killed run leaves it, is skipped.

    Raises:
        ValueError: If another line is damaged; the message gives its number.
    """
    with open(path, encoding='utf-8') as file:
        lines = file.read().splitlines()
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise ValueError(f'{path}, line {number}: {error}') from error
    return entries


def plot_losses(
    scalars: StrPath | Sequence[StrPath],
    out: StrPath,
    wave: Callable[[int], bool] | None = None,
    title: str = 'Losses',
) -> np.ndarray:
    """Plot all losses of a training run, and the PWM signal below them.

    Args:
        scalars: MMEngine's ``vis_data/scalars.json``, or several in order: of a run and
            of the runs that resumed it. At equal steps, the last file counts.
        out: PNG file to write.
        wave: Function from a 0-based iteration to the signal, for an exact plot. By
            default, the logged values of ``pwm`` are plotted, which miss short pulses.
            If there are none either, the signal is not plotted.
        title: Title of the plot.

    Returns:
        RGB image of the plot, uint8.

    Raises:
        ValueError: If there are no losses in the files.
    """
    paths = [scalars] if isinstance(scalars, str | os.PathLike) else list(scalars)
    entries: dict[int, dict] = {}
    for path in paths:
        losses_only = [e for e in read_scalars(path) if any('loss' in key for key in e)]
        entries |= {int(entry['step']): entry for entry in losses_only}
    steps = sorted(entries)
    if not steps:
        raise ValueError(f'expected losses in {paths}, found none')
    wave_at, wave_values = steps, [entries[step].get('pwm') for step in steps]
    if wave is not None:
        wave_at = list(range(steps[-1]))
        wave_values = [float(wave(step)) for step in wave_at]
    has_wave = any(value is not None for value in wave_values)

    figure = Figure(figsize=(9, 5), layout='constrained')
    ratios = {'height_ratios': [6, 1]} if has_wave else {}
    axes = figure.subplots(
        2 if has_wave else 1, sharex=True, squeeze=False, gridspec_kw=ratios
    )[:, 0]
    _draw_losses(axes[0], [entries[step] for step in steps], steps)
    axes[0].set_title(title)
    if has_wave:
        levels = [float(value or 0) for value in wave_values]
        axes[1].fill_between(wave_at, levels, step='post', color='tab:orange')
        axes[1].set(ylim=(-0.1, 1.1), yticks=[0, 1], yticklabels=['A', 'B'])
        axes[1].set_ylabel('teacher')
    axes[-1].set_xlabel('iteration')
    return _save(figure, out)


def _draw_losses(axes: Axes, entries: Sequence[dict], steps: Sequence[int]) -> None:
    names = sorted({key for entry in entries for key in entry if 'loss' in key})
    for name in names:
        values = [entry.get(name, float('nan')) for entry in entries]
        total = name == 'loss'
        style = {'color': 'black', 'linewidth': 1.8} if total else {'linewidth': 1.0}
        axes.plot(steps, values, label='total' if total else name, **style)
    axes.grid(alpha=0.3)
    axes.set_ylabel('loss')
    axes.legend(loc='center left', bbox_to_anchor=(1.01, 0.5), frameon=False)


def _save(figure: Figure, out: StrPath) -> np.ndarray:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110)
    with atomic_write(out) as file:
        file.write(buffer.getvalue())
    with Image.open(buffer) as image:
        return np.array(image.convert('RGB'))
