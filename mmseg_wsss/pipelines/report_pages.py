"""Format a report as Markdown, and as one HTML file for wide and narrow screens."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from mmseg_wsss.evaluation.confusion import LabelScores

TITLE = 'From image tags to a segmentation network'
HOW = 'How it was made'
LOWER_IS_BETTER = ('over_activation', 'under_activation')
MEASURES = {
    'mIoU': 'intersection over union of label map and ground truth, mean over '
    'classes; an unlabeled pixel is a miss',
    'mIoU_covered': 'mIoU over the labeled pixels only',
    'coverage': 'ratio of the pixels that have a label',
    'precision': 'ratio of the pixels of a predicted class that are correct, mean over '
    'classes',
    'recall': 'ratio of the pixels of a true class that are found, mean over classes',
    'over_activation': 'ratio of the pixels labeled as objects that are background',
    'under_activation': 'ratio of the pixels of objects that are labeled as background',
}
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:1200px;margin:0 auto;padding:0 12px;
color:#1c1c1c;background:#fff}
h1{font-size:1.5em}h2{font-size:1.2em;margin-top:1.6em}
.scroll{overflow-x:auto}table{border-collapse:collapse;margin:.6em 0}
th,td{padding:.25em .6em;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left;position:sticky;left:0;background:#fff;
min-width:8em;overflow-wrap:break-word}
td.best{font-weight:bold;background:#e4f3e4}
.text td,.text th{text-align:left;vertical-align:top;overflow-wrap:anywhere}
.text td:first-child,.text th:first-child{position:static}
.row{display:grid;grid-template-columns:repeat(auto-fill,minmax(140px,1fr));gap:8px;
margin:0 0 1em;padding-bottom:1em;border-bottom:1px solid #ddd}
figure{margin:0}figure img{width:100%;display:block}
figcaption{font-size:.8em;color:#444}
.legend span{display:inline-block;margin-right:1em}
.legend i{display:inline-block;width:.9em;height:.9em;border:1px solid #000;
margin-right:.3em;vertical-align:-.1em}
dt{font-weight:bold}dd{margin:0 0 .4em 1em}
@media (max-width:600px){body{font-size:15px}th,td{padding:.25em .35em}}
"""
Panel = tuple[Sequence[Mapping[str, np.ndarray]], Mapping[str, Sequence[int]]]


@dataclass
class Page:
    """Content of a report.

    Args:
        scores: Scores by title of the label maps.
        classes: Names of the C classes.
        panels: Rows of images (by title of their column) and legend, by split.
        images: Name of the panel's file, by split.
        stages: Rows of the table of stages; the first one is the header.
        facts: Facts about the origin of the results, by name.
    """

    scores: Mapping[str, LabelScores]
    classes: Sequence[str]
    panels: Mapping[str, Panel]
    images: Mapping[str, str]
    stages: Sequence[Sequence[str]] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    def tables(self) -> dict[str, list[list[str]]]:
        """Return the cells of the tables of scores.

        ``*`` precedes the best value of a measure or class in a split. The split is the
        text after the last comma of a title.
        """
        if not self.scores:
            return {}
        summaries = {name: row.summary() for name, row in self.scores.items()}
        keys = list(MEASURES)
        columns = [[row[key] for row in summaries.values()] for key in keys]
        splits = [title.rpartition(', ')[2] for title in self.scores]
        marked = [
            _mark(column, splits, key in LOWER_IS_BETTER)
            for key, column in zip(keys, columns)
        ]
        overall = [['', *(key.replace('_', ' ') for key in keys)]]
        overall += [list(row) for row in zip(summaries, *marked)]
        per_class = [row.per_class()['IoU'] for row in self.scores.values()]
        each = [['class', *self.scores]]
        for i, name in enumerate(self.classes):
            each.append([name, *_mark([column[i] for column in per_class], splits)])
        return {'All classes': overall, 'IoU of each class': each}


def _mark(
    values: Sequence[float], splits: Sequence[str], lowest: bool = False
) -> list[str]:
    """Format values, with ``*`` before the best one of a split with several."""
    valid: dict[str, list[float]] = {}
    for value, split in zip(values, splits):
        if value == value:
            valid.setdefault(split, []).append(value)
    best = {
        split: (min if lowest else max)(found)
        for split, found in valid.items()
        if len(set(found)) > 1
    }
    return [
        '-' if v != v else f'{"*" if v == best.get(split) else ""}{v:.2f}'
        for v, split in zip(values, splits)
    ]


NO_SCORES = 'No image has a mask to compare with: label maps are shown, not evaluated.'
SCORES = 'In percent; the best value of a measure, or of a class, is marked.'


def markdown_page(page: Page) -> str:
    """Format a report as Markdown that refers to the image files next to it."""
    lines = [f'# {TITLE}', '']
    lines += [SCORES if page.scores else NO_SCORES, '']
    for title, (head, *rows) in page.tables().items():
        cells = [[f'**{c[1:]}**' if c[:1] == '*' else c for c in row] for row in rows]
        lines += [f'## {title}', '', *_markdown_table([head, *cells]), '']
    for title in page.panels:
        file = page.images[title]
        lines += [f'## Examples: {title}', '', f'![{title}]({file})', '']
    if page.scores:
        lines += ['## Measures', '']
        lines += [f'* {k.replace("_", " ")}: {v}' for k, v in MEASURES.items()]
        lines.append('')
    lines += [f'## {HOW}', '']
    lines += [f'* {name}: {value}' for name, value in page.facts.items()]
    if page.stages:
        lines += ['', *_markdown_table(page.stages)]
    return '\n'.join([*lines, ''])


def _markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f'| {" | ".join(row)} |' for row in rows]
    return [lines[0], '| --- ' * len(rows[0]) + '|', *lines[1:]]


def html_page(page: Page) -> str:
    """Format a report as one HTML file with embedded images."""
    parts = [f'<h1>{TITLE}</h1>']
    parts.append(f'<p>{SCORES if page.scores else NO_SCORES}</p>')
    for title, rows in page.tables().items():
        parts += [f'<h2>{title}</h2>', _html_table(rows)]
    for title, (images, legend) in page.panels.items():
        parts += [f'<h2>Examples: {html.escape(title)}</h2>', _legend(legend)]
        parts += [_figures(row) for row in images]
    if page.scores:
        parts.append('<h2>Measures</h2><dl>')
        for name, text in MEASURES.items():
            parts.append(f'<dt>{name.replace("_", " ")}</dt><dd>{text}</dd>')
        parts.append('</dl>')
    parts.append(f'<h2>{HOW}</h2>')
    parts.append(_html_table([['', ''], *map(list, page.facts.items())], 'text'))
    if page.stages:
        parts.append(_html_table(page.stages, 'text'))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{TITLE}</title><style>{STYLE}</style>\n' + '\n'.join(parts) + '\n'
    )


def _html_table(rows: Sequence[Sequence[str]], kind: str = '') -> str:
    head, *body = rows
    lines = [''.join(f'<th>{html.escape(cell)}</th>' for cell in head)] * any(head)
    for row in body:
        cells = (
            f'<td class="best">{html.escape(cell[1:])}</td>'
            if cell[:1] == '*'
            else f'<td>{html.escape(cell)}</td>'
            for cell in row
        )
        lines.append(''.join(cells))
    table = ''.join(f'<tr>{line}</tr>' for line in lines)
    return f'<div class="scroll {kind}"><table>{table}</table></div>'


def _legend(legend: Mapping[str, Sequence[int]]) -> str:
    entries = (
        f'<span><i style="background:rgb{tuple(map(int, color))}"></i>'
        f'{html.escape(name)}</span>'
        for name, color in legend.items()
    )
    return f'<p class="legend">{"".join(entries)}</p>'


def _figures(row: Mapping[str, np.ndarray], longest: int = 320) -> str:
    figures = []
    for title, pixels in row.items():
        image = Image.fromarray(pixels)
        image.thumbnail((longest, longest))
        buffer = io.BytesIO()
        image.save(buffer, format='PNG')
        data = base64.b64encode(buffer.getvalue()).decode()
        figures.append(
            f'<figure><img alt="{html.escape(title)}" '
            f'src="data:image/png;base64,{data}">'
            f'<figcaption>{html.escape(title)}</figcaption></figure>'
        )
    return f'<div class="row">{"".join(figures)}</div>'
