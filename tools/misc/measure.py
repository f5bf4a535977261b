"""Train a config, or resume it, and write its scores to measure.json."""

import json
import runpy
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

from mmengine.config import DictAction

from mmseg_wsss.engine.launch import TRAINING_ERRORS
from mmseg_wsss.pipelines.measure import measure
from mmseg_wsss.utils import atomic_write
from mmseg_wsss.utils.launch import ToolParser, one_line_errors

SETTINGS = {
    'single scale': {},
    'single scale + CRF': {'crf': True},
    'multi-scale + flip': {'ms_flip': True},
    'multi-scale + flip + CRF': {'ms_flip': True, 'crf': True},
}


@one_line_errors(*TRAINING_ERRORS)
def main() -> None:
    parser = ToolParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help='folder of logs, checkpoints and results; '
        'default: work_dirs/NAME_OF_CONFIG',
    )
    parser.add_argument(
        '--sources', nargs='*', default=[], help='pseudo-labels to evaluate'
    )
    parser.add_argument(
        '--settings',
        nargs='*',
        default=['single scale'],
        choices=list(SETTINGS),
        help='test settings',
    )
    parser.add_argument('--out', help='copy the result to this JSON file')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings: KEY=VALUE',
    )
    args = parser.parse_args()
    result = measure(
        args.config,
        args.work_dir or Path('work_dirs', Path(args.config).stem),
        args.sources,
        {name: SETTINGS[name] for name in args.settings},
        args.cfg_options,
    )
    text = json.dumps(result, indent=1)
    print(text)
    if args.out:
        with atomic_write(args.out, 'w') as file:
            file.write(text + '\n')


if __name__ == '__main__':
    main()
