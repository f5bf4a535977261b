"""Train and measure the runs of a comparison file side by side, and report them."""

import runpy
import signal
import sys
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

from mmseg_wsss.engine.launch import TRAINING_ERRORS
from mmseg_wsss.pipelines.compare import compare
from mmseg_wsss.pipelines.compare_report import table_of
from mmseg_wsss.pipelines.comparison import PARTS
from mmseg_wsss.utils.launch import ToolParser, one_line_errors


@one_line_errors(*TRAINING_ERRORS)
def main() -> None:
    parser = ToolParser(description=__doc__)
    parser.add_argument('file', help='comparison file, see configs/comparisons/')
    parser.add_argument(
        '--out',
        default='work_dirs/comparisons',
        help='folder of the results and the runs; default: %(default)s',
    )
    parser.add_argument(
        '--jobs',
        type=int,
        help='runs at a time; default: one per GPU, or per core without a GPU; '
        '0 reports what is finished',
    )
    parser.add_argument(
        '--seeds', type=int, nargs='+', help="seeds in place of the file's"
    )
    parser.add_argument(
        '--runs',
        nargs='+',
        metavar='NAME',
        help='runs beside the baseline; default: all',
    )
    parser.add_argument(
        '--reuse',
        nargs='+',
        default=[],
        metavar='REPORT.json',
        help='saved reports; their runs count as finished where the config is the same',
    )
    parser.add_argument(
        '--allow-different',
        nargs='+',
        default=[],
        choices=PARTS,
        help='parts that may differ between the runs',
    )
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # also ends the runs
    report = compare(
        args.file,
        args.out,
        args.jobs,
        args.allow_different,
        args.seeds,
        args.reuse,
        args.runs,
    )
    print(table_of(report))
    print(f'results: {args.out}/{report["comparison"]}.json, .md, .svg')
    if report['failed']:
        raise SystemExit(1)


if __name__ == '__main__':
    main()
