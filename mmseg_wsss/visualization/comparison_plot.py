"""Plot a comparison of runs over several seeds."""

import io
import os
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from mmseg_wsss.utils.files import atomic_write


def plot_comparison(report: Mapping[str, Any], out: str | os.PathLike) -> None:
    """Plot the main score of each run and its difference to the baseline.

    The left plot shows a point per seed and the mean. The right plot shows the mean
    difference with its bootstrap interval, in gray if the interval contains 0.

    Args:
        report: Content of the JSON file of a comparison.
        out: SVG file to write.
    """
    rows = report['scores'].get(report['score'], {})
    names = list(rows)
    figure = Figure(figsize=(9, 1.2 + 0.4 * len(names)), layout='constrained')
    left, right = figure.subplots(1, 2, sharey=True)
    for place, name in enumerate(names):
        row = rows[name]
        values = list(row['values'].values())
        left.plot(values, [place] * len(values), 'o', color='tab:blue', alpha=0.5)
        left.plot([row['mean']], [place], '|', color='black', markersize=16)
        if 'interval' in row:
            color = (
                'tab:gray' if row['interval'][0] <= 0 <= row['interval'][1] else None
            )
            right.plot(row['interval'], [place] * 2, color=color or 'tab:blue')
        right.plot([row['difference']], [place], 'D', color='black', markersize=4)
    right.axvline(0, color='black', linewidth=0.8)
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.set_xlabel(f'mIoU, {report["score"]}')
    right.set_xlabel(f'difference to {report["baseline"]}')
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.suptitle(report['comparison'])
    save_svg(figure, out)


def save_svg(figure: Figure, out: str | os.PathLike) -> None:
    """Write a figure to an SVG file that is identical for identical data."""
    FigureCanvasSVG(figure)
    buffer = io.StringIO()
    with mpl.rc_context({'svg.hashsalt': 'mmseg_wsss', 'svg.fonttype': 'none'}):
        figure.savefig(buffer, format='svg', metadata={'Date': None})
    with atomic_write(out, 'w') as file:
        file.write(buffer.getvalue())
