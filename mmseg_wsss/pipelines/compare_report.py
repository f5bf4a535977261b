"""Write the JSON file, the table and the plot of a comparison."""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmseg_wsss.utils import atomic_write
from mmseg_wsss.visualization.comparison_plot import plot_comparison

from .compare_notes import budget_of, notes_on_starts, notes_on_versions
from .compare_stats import LEVEL, SAMPLES, bootstrap_interval, summarize
from .comparison import Comparison
from .image_areas import read_areas

Results = Mapping[tuple[str, int], dict]
SHOWN_KINDS = ('over_activation', 'under_activation')


def write_report(
    comparison: Comparison,
    out: Path,
    results: Results,
    failed: Mapping[tuple[str, int], str],
    allowed: Sequence[str],
) -> dict[str, Any]:
    """Write ``NAME.json``, ``NAME.md`` and ``NAME.svg`` and return the JSON's content.

    Args:
        comparison: The comparison.
        out: Folder of the files.
        results: Results by name and seed, see :func:`.do_run`.
        failed: Reasons why runs failed, by name and seed.
        allowed: Parts that were allowed to differ.

    Raises:
        ValueError: If no run is finished.
    """
    if not any(name in comparison.runs for name, _ in results):
        raise ValueError(f'{comparison.name}: no run is finished')
    images = _images(results)
    report = {
        'comparison': comparison.name,
        'baseline': comparison.baseline,
        'score': comparison.score,
        'seeds': list(comparison.seeds),
        'allowed_to_differ': list(allowed),
        'bootstrap': {'samples': SAMPLES, 'level': LEVEL},
        'failed': {f'{name}, seed {seed}': why for (name, seed), why in failed.items()},
        'missing': [
            f'{run.name}, seed {seed}'
            for run, seed in comparison.jobs()
            if (run.name, seed) not in results
        ],
        'scores': _all_scores(comparison, results),
        'images': images,
        'runs': [
            {'name': name} | _portable(run, images)
            for (name, _), run in results.items()
        ],
    }
    stem = str(out / comparison.name)
    with atomic_write(f'{stem}.json', 'w') as file:
        json.dump(_without_nan(report), file, indent=1)
    with atomic_write(f'{stem}.md', 'w') as file:
        file.write(table_of(report))
    plot_comparison(report, f'{stem}.svg')
    return report


def _all_scores(comparison: Comparison, results: Results) -> dict[str, dict]:
    """Summarize every score of every run: main score first, runs in file order."""
    names = dict.fromkeys(name for run in results.values() for name in run['scores'])
    names = dict.fromkeys((comparison.score, *names))
    runs = [*comparison.runs, *comparison.starts]
    rows = {}
    for score in names:
        values = {
            run: {
                seed: results[run, seed]['scores'][score]
                for seed in comparison.seeds
                if score in results.get((run, seed), {}).get('scores', {})
            }
            for run in runs
        }
        base = values[comparison.baseline]
        rows[score] = {
            run: _summary(results, score, run, values[run], comparison.baseline, base)
            for run in runs
            if values[run]
        }
    return {score: row for score, row in rows.items() if row}


def _summary(
    results: Results,
    score: str,
    run: str,
    values: Mapping[int, float],
    base: str,
    base_values: Mapping[int, float],
) -> dict[str, Any]:
    """Summarize a score of a run over seeds, and its differences to another run."""
    common = [seed for seed in values if seed in base_values]
    common = [] if run == base else common
    paired = [values[seed] - base_values[seed] for seed in common]
    summary = asdict(summarize([*values.values()], paired))
    pairs = [(results[run, seed], results[base, seed]) for seed in common]
    key = score if score.startswith('val/') else 'train'
    # If the images are allowed to differ and do, there are no pairs to draw.
    same = all(a['images'].get(key) == b['images'].get(key) for a, b in pairs)
    both = [[side['areas'].get(score) for side in sides] for sides in zip(*pairs)]
    if common and same and all(lines for side in both for lines in side):
        classes = _num_classes(side for lines in both for side in lines)
        sides = [[read_areas(lines, classes) for lines in side] for side in both]
        summary['interval'] = bootstrap_interval(sides[0], sides[1])
    return summary | {'values': {str(seed): v for seed, v in values.items()}}


def _num_classes(sides: Any) -> int:
    return max(read_areas(lines).shape[1] for lines in sides)


def _images(results: Results) -> dict[str, list[str]]:
    """Return the names of the images by test, from the first run that has them."""
    found: dict[str, list[str]] = {}
    for run in results.values():
        found = {**run['images'], **found}
    return found


def _portable(run: dict, images: Mapping[str, list[str]]) -> dict:
    """Return a result without local paths, and with images only where they differ."""
    own = {key: names for key, names in run['images'].items() if names != images[key]}
    folder = '/'.join(Path(run['folder']).parts[-2:])
    return run | {'folder': folder, 'images': own}


def read_report(path: str | os.PathLike) -> dict[str, Any]:
    """Read the JSON file of :func:`write_report`, with NaN for undefined numbers."""
    report = json.loads(Path(path).read_text(encoding='utf-8'))
    for rows in report['scores'].values():
        for row in rows.values():
            row.update({k: math.nan for k, v in row.items() if v is None})
    return report


def runs_of(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the runs of a saved report, each with its images, and NaN for None.

    Raises:
        KeyError: If it is not a report.
    """
    return [
        run
        | {
            'images': images_by_test(report['images'] | run['images'], run['areas']),
            'scores': {
                name: math.nan if score is None else score
                for name, score in run['scores'].items()
            },
        }
        for run in report['runs']
    ]


def images_by_test(
    images: Mapping[str, list[str]], areas: Iterable[str]
) -> dict[str, list[str]]:
    """Return the names of the images by ``train`` and ``val/TEST``.

    Args:
        images: Such names; in an older version, ``val`` has the names for all tests.
        areas: Names of the scores that have areas.
    """
    names = {key: value for key, value in images.items() if key != 'val'}
    tests = [key for key in areas if key.startswith('val/')] if 'val' in images else []
    return {**dict.fromkeys(tests, images.get('val', [])), **names}


def pair_summary(
    report: Mapping[str, Any], base: str, run: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compare the main score of two runs of a saved report, over the seeds of both.

    Args:
        report: Content of the JSON file of :func:`write_report`.
        base: Name of the run to compare with.
        run: Name of the run to compare.

    Returns:
        Rows of ``base`` and ``run`` as in ``scores``: ``mean``, ``std``,
        ``difference``, ``error``, ``values`` by seed, and ``interval`` if both have the
        same images.
    """
    score = report['score']
    results = {(one['name'], one['seed']): one for one in runs_of(report)}
    values = {
        name: {
            seed: found['scores'][score]
            for (other, seed), found in results.items()
            if other == name and score in found['scores']
        }
        for name in (base, run)
    }
    seeds = [seed for seed in values[run] if seed in values[base]]
    values = {name: {seed: row[seed] for seed in seeds} for name, row in values.items()}
    first, second = (
        _summary(results, score, name, values[name], base, values[base])
        for name in (base, run)
    )
    return first, second


def _without_nan(node: Any) -> Any:
    """Replace NaN, which JSON does not have, by None."""
    if isinstance(node, dict):
        return {key: _without_nan(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_without_nan(value) for value in node]
    return None if isinstance(node, float) and math.isnan(node) else node


def table_of(report: Mapping[str, Any], folded: bool = False) -> str:
    """Format a report as Markdown: the main score in full, then the other ones.

    Args:
        report: Content of the JSON file of :func:`write_report`.
        folded: Hide the other scores until a reader of the HTML page opens them.
    """
    score, scores = report['score'], report['scores']
    head = ('run', 'seeds', 'mean', 'sd', 'difference', 'standard error', '95 %')
    rows = [
        (name, str(len(row['values'])), *_cells(row))
        for name, row in scores.get(score, {}).items()
    ]
    parts = [
        f'# {report["comparison"]}',
        f'`{score}`, mIoU in percent; differences to {report["baseline"]} of the same '
        'seed, their standard error over seeds, and the bootstrap interval over images '
        'and seeds:',
        _markdown(head, rows),
    ]
    others = [name for name in scores if name != score and _is_shown(name)]
    if others:
        names = list(dict.fromkeys(run for name in others for run in scores[name]))
        cells = [
            ('run', *others),
            *(
                (run, *(_short(scores[name].get(run)) for name in others))
                for run in names
            ),
        ]
        if len(others) > len(names):  # taller than wide
            cells = [*zip(*cells)]
            cells[0] = ('score', *cells[0][1:])
        title = 'Other scores: mean ± standard deviation (difference ± standard error)'
        table = _markdown(cells[0], cells[1:])
        if folded:
            parts += [
                f'<details>\n<summary>{title}</summary>',
                table,
                '</details>',
            ]
        else:
            parts += [f'{title}:', table]
    runs = report['runs']
    parts.append(budget_of(runs))
    parts += notes_on_starts(runs, report['baseline'])
    parts += notes_on_versions(runs)
    if report['allowed_to_differ']:
        parts.append(f'Allowed to differ: {", ".join(report["allowed_to_differ"])}.')
    if missing := report['missing']:
        total = len(missing) + len(runs)
        parts.append(f'Not finished: {len(missing)} of {total} runs.')
    parts += [f'Failed: {name}: {why}.' for name, why in report['failed'].items()]
    return '\n\n'.join(parts) + '\n'


def _is_shown(score: str) -> bool:
    """Return whether a score is an mIoU, or over- or under-activation of a CAM."""
    split, *rest = score.split('/')
    return split == 'val' or len(rest) == 1 or rest[-1] in SHOWN_KINDS


def _cells(row: Mapping[str, Any]) -> list[str]:
    low, high = row.get('interval', (math.nan, math.nan))
    interval = '-' if math.isnan(low) else f'{low:+.1f} to {high:+.1f}'
    texts = [_text(row['mean']), _text(row['std']), _text(row['difference'], '+.2f')]
    return [*texts, _text(row['error']), interval]


def _short(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return '-'
    text = _text(row['mean'], '.1f')
    text += '' if math.isnan(row['std']) else f' ± {row["std"]:.1f}'
    if math.isnan(row['difference']):
        return text
    error = '' if math.isnan(row['error']) else f' ± {row["error"]:.1f}'
    return f'{text} ({row["difference"]:+.1f}{error})'


def _text(value: float, form: str = '.2f') -> str:
    return '-' if math.isnan(value) else format(value, form)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)
