"""Write the tables of docs/results.md and README.md from reports of comparisons.

    python benchmarks/comparison_tables.py work_dirs/comparisons/toy_asdt.json

copies the reports of ``tools/misc/compare.py`` to ``benchmarks/results/comparisons``
and writes the table of every report there into docs/results.md, between ``<!-- table:
NAME -->`` and ``<!-- end of table -->``. The table ``does-it-help`` of README.md shows
the effect of single ideas. A table without a report becomes ``Not measured yet``.
"""

import argparse
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmseg_wsss.pipelines.compare_report import pair_summary, read_report, table_of
from mmseg_wsss.utils import atomic_write

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'results.md'
README = ROOT / 'README.md'
REPORTS = ROOT / 'benchmarks' / 'results' / 'comparisons'
STORED = 'benchmarks/results/comparisons'
LINK = f'../{STORED}'
TABLE = re.compile(r'(<!-- table: ([\w-]+) -->\n).*?(<!-- end of table -->)', re.S)
NONE = 'Not measured yet with several seeds'
SUMMARY = 'does-it-help'
MIN_SEEDS = 3  # for a verdict
SEMI = ('MeanTeacher', 'CPS', 'FixMatch', 'UniMatch', 'UniMatch V2', 'MKD')
TOY, CAMVID, VOC = 'toy images', 'CamVid, 23 masks', 'voc-mini'
ALONE, MASKS, BOTH = 'on the classifier alone', 'masks alone', 'tags and masks'
TAGGED = {'MeanTeacher': 'mean-teacher', 'UniMatch': 'unimatch', 'MKD': 'mkd'}
CLASSIFIER = ('tags_mean-teacher_voc-mini', 'masks alone, classifier of the tags')
# Idea, images, comparison, run with the idea, run without it.
IDEAS = (
    ('ASDT: two teachers in turn (PWM)', TOY, 'toy_asdt', 'PWM', 'never'),
    ('ASDT: two teachers in turn (PWM)', VOC, 'asdt_voc-mini', 'PWM', 'never'),
    ('ASDT in place of RRM', TOY, 'toy_asdt', 'PWM', 'RRM'),
    ('ASDT in place of RRM', VOC, 'asdt_voc-mini', 'PWM', 'RRM'),
    ('AFA: affinity loss', TOY, 'toy_afa', 'affinity loss', 'local refiner'),
    ('AFA: walk', TOY, 'toy_afa', 'affinity loss and walk', 'affinity loss'),
    ('AFA', VOC, 'afa_tscd_voc-mini', 'AFA', 'CAM + segmentation'),
    ('AFA: walk', VOC, 'afa_tscd_voc-mini', 'AFA', 'AFA without walk'),
    ('TSCD: VARM in place of PAR', TOY, 'toy_tscd', 'VARM', 'PAR'),
    ('TSCD: correspondence loss', TOY, 'toy_tscd', 'SCD + PAR', 'PAR'),
    ('TSCD: correspondence loss', VOC, 'afa_tscd_voc-mini', 'TSCD', 'TSCD without SCD'),
    *(
        (f'{module}, CAMs', images, comparison, module, 'classifier alone')
        for module in ('RCM', 'MAM')
        for images, comparison in ((TOY, 'toy_rcm_mam'), (VOC, 'rcm_mam_voc-mini'))
    ),
    *(
        (f'{module}, network*', TOY, 'toy_rcm_mam_network', f'on {module}', ALONE)
        for module in ('RCM', 'MAM')
    ),
    ('MKD: mean teachers', TOY, 'toy_mkd', 'MKD', 'no mean teachers'),
    ('MKD: mutual distillation', TOY, 'toy_mkd', 'MKD', 'no mutual distillation'),
    ('MKD: labels of the other student', TOY, 'toy_mkd', 'MKD', 'no other student'),
    ('MKD: CutMix', TOY, 'toy_mkd', 'MKD', 'no CutMix'),
    ('MKD: feature augmentation (ISDA, ratio 0.3)', TOY, 'toy_mkd', 'with ISDA', 'MKD'),
    *(
        (f'unlabeled images: {method}', images, comparison, method, MASKS)
        for images, comparison in ((TOY, 'toy_semi'), (CAMVID, 'camvid_semi'))
        for method in SEMI
    ),
    *(
        (f'unlabeled images: {x}', VOC, f'tags_{name}_voc-mini', x, MASKS)
        for x, name in TAGGED.items()
    ),
    ('tags beside masks: a classifier', VOC, *CLASSIFIER, MASKS),
    *(
        (f'tags beside masks: {x}', VOC, f'tags_{name}_voc-mini', f'{x}, tags', x)
        for x, name in TAGGED.items()
    ),
    *(
        (f'masks beside tags: {x}', VOC, 'masks_voc-mini', f'{x}, {BOTH}', f'{x}, tags')
        for x in ('ASDT', 'AFA')
    ),
)


def filled(page: str, reports: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page with the tables of the reports, which are given by name."""

    def table(match: re.Match) -> str:
        name = match[2]
        if name == SUMMARY:
            return match[1] + summary(reports) + match[3]
        return match[1] + block(name, reports.get(name)) + match[3]

    return TABLE.sub(table, page)


def check_places(page: str, reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise a ValueError if the page has no place for a report."""
    missing = set(reports) - {name for _, name, _ in TABLE.findall(page)}
    if missing:
        name = min(missing)
        raise ValueError(
            f'{PAGE.name}: no place for the report {name}: add the lines '
            f"'<!-- table: {name} -->' and '<!-- end of table -->'"
        )


def summary(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of the effects of ideas measured with several seeds."""
    head = ('idea', 'images', 'seeds', 'without', 'with', 'difference', 'verdict')
    lines = ['| ' + ' | '.join(head) + ' |', '| --- ' * len(head) + '|']
    for idea, images, name, run, base in IDEAS:
        if name not in reports:
            continue
        rows = pair_summary(reports[name], base, run)
        row = rows[1]
        if math.isnan(row['error']):
            continue
        cells = [idea, images, str(len(row['values']))]
        cells += [f'{part["mean"]:.1f} ± {part["std"]:.1f}' for part in rows]
        cells += [f'{row["difference"]:+.2f} ± {row["error"]:.2f}', verdict(row)]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def verdict(row: Mapping[str, Any]) -> str:
    """Return the verdict on a difference, by the rule of docs/results.md."""
    if len(row['values']) < MIN_SEEDS:
        return 'two seeds only'
    low, high = row.get('interval', (-math.inf, math.inf))
    if abs(row['difference']) <= 2 * row['error'] or low <= 0 <= high:
        return 'not shown'
    return 'helps' if row['difference'] > 0 else 'costs'


def block(name: str, report: Mapping[str, Any] | None) -> str:
    """Return the command, the link to the report, the time and the table."""
    command = f'`python tools/misc/compare.py configs/comparisons/{name}.py`'
    if report is None:
        return f'{NONE}: {command}.\n'
    runs = report['runs']
    hours = sum(run['seconds'] or 0 for run in runs) / 3600
    machines = '; '.join(sorted({run['machine'] or 'unknown' for run in runs}))
    table = table_of(report, folded=True).partition('\n\n')[2]
    if report['missing']:
        table += f'\n`{command[1:-1]} --reuse {STORED}/{name}.json` goes on.\n'
    return (
        f'{command}: [{name}.json]({LINK}/{name}.json), {len(runs)} trainings, '
        f'{hours:.1f} hours of training in all ({machines}).\n\n{table}'
    )


def add(path: Path, folder: Path) -> None:
    """Copy a report into a folder, under the name of its comparison."""
    text = path.read_text(encoding='utf-8')
    with atomic_write(folder / f'{json.loads(text)["comparison"]}.json', 'w') as file:
        file.write(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('reports', type=Path, nargs='*', help='reports to add')
    parser.add_argument('--page', type=Path, default=PAGE)
    parser.add_argument('--readme', type=Path, default=README)
    parser.add_argument('--folder', type=Path, default=REPORTS)
    args = parser.parse_args()
    for path in args.reports:
        add(path, args.folder)
    found = {path.stem: read_report(path) for path in args.folder.glob('*.json')}
    check_places(args.page.read_text(), found)
    for page in (args.page, args.readme):
        page.write_text(filled(page.read_text(), found))


if __name__ == '__main__':
    main()
