"""Write the tables of docs/results.md from the reports of tools/misc/compare.py.

    python benchmarks/comparison_tables.py work_dirs/comparisons/toy_asdt.json

copies the reports to ``benchmarks/results/comparisons`` and writes the table of every
report there into the page, between ``<!-- table: NAME -->`` and ``<!-- end of table
-->``. A table without a report is ``not measured``.
"""

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmseg_wsss.pipelines.compare_report import read_report, table_of
from mmseg_wsss.utils import atomic_write

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'results.md'
REPORTS = ROOT / 'benchmarks' / 'results' / 'comparisons'
LINK = '../benchmarks/results/comparisons'
TABLE = re.compile(r'(<!-- table: ([\w-]+) -->\n).*?(<!-- end of table -->)', re.S)
NONE = 'Not measured yet with several seeds'


def filled(page: str, reports: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page with the tables of the reports, given by name.

    Raises:
        ValueError: If the page has no place for a report.
    """
    missing = set(reports) - {name for _, name, _ in TABLE.findall(page)}
    if missing:
        name = min(missing)
        raise ValueError(
            f'{PAGE.name}: no place for the report {name}: add the lines '
            f"'<!-- table: {name} -->' and '<!-- end of table -->'"
        )
    return TABLE.sub(
        lambda match: match[1] + block(match[2], reports.get(match[2])) + match[3], page
    )


def block(name: str, report: Mapping[str, Any] | None) -> str:
    """Return the command, the link to the report, the time and the table."""
    command = f'`python tools/misc/compare.py configs/comparisons/{name}.py`'
    if report is None:
        return f'{NONE}: {command}.\n'
    runs = report['runs']
    hours = sum(run['seconds'] or 0 for run in runs) / 3600
    machines = '; '.join(sorted({run['machine'] or 'unknown' for run in runs}))
    table = table_of(report).partition('\n\n')[2]
    return (
        f'{command}: [{name}.json]({LINK}/{name}.json), {len(runs)} trainings, '
        f'{hours:.1f} hours in all ({machines}).\n\n{table}'
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
    parser.add_argument('--folder', type=Path, default=REPORTS)
    args = parser.parse_args()
    for path in args.reports:
        add(path, args.folder)
    found = {path.stem: read_report(path) for path in args.folder.glob('*.json')}
    args.page.write_text(filled(args.page.read_text(), found))


if __name__ == '__main__':
    main()
