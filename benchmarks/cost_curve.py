"""How many masks tags are worth: mIoU by the number of masks, with and without tags.

    python benchmarks/cost_curve.py --seeds 0 1 2 --jobs 2

Trains on voc-mini: with tags, the pipelines ``rcmmam_voc-mini`` (no masks) and
``mixed_voc-mini``; without tags, a network on the masks alone. Each starts from a
classifier or a backbone that was trained on no other labels. Finished parts are kept,
so the same command resumes after an interruption; ``--jobs 0`` only reports what is
finished. Prints a table and writes ``benchmarks/results/cost_curve.json`` and
``docs/images/cost_curve.svg``. Cells in the saved file count as finished; delete it to
measure everything anew.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from matplotlib.figure import Figure

from mmseg_wsss.pipelines.measure import machine
from mmseg_wsss.utils import atomic_write
from mmseg_wsss.visualization.comparison_plot import save_svg

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / 'benchmarks/results/cost_curve.json'
PLOT = ROOT / 'docs/images/cost_curve.svg'
WORK = ROOT / 'work_dirs/cost_curve'
DATA = Path(os.environ.get('WSSS_SHARED', ROOT / '../shared'), 'data/voc-mini/VOC2012')
LISTS = 'ImageSets/Segmentation'
SPLITS = {25: 'semi_1_8', 51: 'semi_1_4', 102: 'semi_1_2'}
CLASSIFIER = 'configs/cam/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225.py'
MASKS = 'configs/supervised/supervised_mobilenet-v2_1xb8-1000_sup-1-4-voc-mini-225.py'
TAGS = Path('work_dirs/voc-mini_tags.json')  # the name in the configs
FASTER = (
    'default_hooks.efficient_conv.type=EfficientConvHook',
    'optim_wrapper.type=BFloat16OptimWrapper',
)
NETWORK = 'network (plain), test images'  # the title in the pipeline's report
Cell = tuple[int, bool, int]  # masks, tags, seed


def folder(cell: Cell) -> Path:
    masks, tags, seed = cell
    return WORK / f'{masks}-masks{"-tags" if tags else ""}-seed{seed}'


def scores(cell: Cell) -> dict[str, float]:
    """Return the mIoU of the label maps of all stages; empty without a result."""
    path = folder(cell) / ('scores.json' if cell[1] else 'measure.json')
    if not path.is_file():
        return {}
    found = json.loads(path.read_text())
    if not cell[1]:
        found = {NETWORK: found.get('val', {}).get('single scale')}
    return {title: row['mIoU'] for title, row in found.items() if row}


def start(seed: int) -> Path:
    """Return the folder of the classifier from which the cells with tags start."""
    return WORK / f'classifier-seed{seed}'


def command(cell: Cell) -> list[str]:
    """Return the command that trains and measures a cell."""
    masks, tags, seed = cell
    split = f'{LISTS}/{SPLITS[masks]}' if masks else ''
    if not tags:
        seeded = [f'randomness.seed={seed}', '--work-dir', str(folder(cell))]
        labeled = DATA / split / 'labeled.txt'
        options = [
            '--cfg-options',
            f'train_dataloader.dataset.ann_file={labeled}',
            *FASTER,
        ]
        return ['tools/misc/measure.py', MASKS, *options, *seeded]
    checkpoint = start(seed) / 'iter_350.pth'
    options = [f'seed={seed}', f'seeds.cfg_options.load_from={checkpoint}']
    parts = ('seeds', 'affinity', 'network')
    options += [f'{part}.cfg_options.{x}' for part in parts for x in FASTER]
    if masks:
        for part in ('seeds', 'affinity'):
            for loader in ('train_dataloader', 'export_dataloader'):
                options.append(f'{part}.cfg_options.{loader}.dataset.split={split}')
        test = 'seeds.cfg_options.test_dataloader.dataset.ann_file'
        options.append(f'{test}={split}/unlabeled.txt')
    name = 'mixed' if masks else 'rcmmam'
    pipeline = ['tools/wsss_pipeline.py', f'configs/pipelines/{name}_voc-mini.py']
    return [*pipeline, '--work-dir', str(folder(cell)), '--cfg-options', *options]


def call(words: list[str], folder: Path) -> None:
    """Run a tool with one thread; append its output to log.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / 'log.txt', 'a') as log:
        subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=True,
        )


def train_classifier(seed: int) -> None:
    options = ['--cfg-options', f'randomness.seed={seed}', *FASTER, '--work-dir']
    call(['tools/misc/measure.py', CLASSIFIER, *options, str(start(seed))], start(seed))


def run(cell: Cell) -> None:
    """Execute the remaining part of a cell."""
    call(command(cell), folder(cell))
    print(f'{folder(cell).name}: {scores(cell)[NETWORK]:.1f}', flush=True)


def make_tags() -> None:
    """Derive the tags of the training images from their masks, once."""
    if not (ROOT / TAGS).is_file():
        words = [
            'tools/dataset_converters/image_tags.py',
            str(TAGS),
            '--classes',
            'voc',
        ]
        words += ['--masks', str(DATA / 'SegmentationClass')]
        words += ['--list', str(DATA / LISTS / 'train.txt')]
        subprocess.run([sys.executable, *words], cwd=ROOT, check=True)


def saved_scores() -> tuple[dict[Cell, dict[str, float]], list[str]]:
    """Return the scores of the saved result by cell, and its machines."""
    if not RESULT.is_file():
        return {}, []
    result = json.loads(RESULT.read_text())
    found = {
        (int(masks), kind == 'tags', int(seed)): row
        for masks, kinds in result['mIoU'].items()
        for kind, cell in kinds.items()
        for seed, row in cell['seeds'].items()
    }
    return found, result['machines']


def summarize(finished: dict[Cell, dict[str, float]], machines: list[str]) -> dict:
    """Order scores by number of masks and by tags, with their mean and spread."""
    rows: dict[str, dict] = {}
    for masks in (0, *SPLITS):
        for tags in (False, True):
            found = {
                seed: row
                for (m, t, seed), row in sorted(finished.items())
                if (m, t) == (masks, tags)
            }
            if found:
                values = [row[NETWORK] for row in found.values()]
                cell = {'mean': statistics.mean(values), 'std': None, 'seeds': found}
                if len(values) > 1:
                    cell['std'] = statistics.stdev(values)
                rows.setdefault(str(masks), {})['tags' if tags else 'no tags'] = cell
    return {'machines': machines, 'mIoU': rows}


def plot(result: dict) -> None:
    """Draw a point per seed, and the means of both curves."""
    figure = Figure(figsize=(6, 4), layout='constrained')
    axes = figure.subplots()
    for kind, color in (('no tags', 'tab:gray'), ('tags', 'tab:blue')):
        rows = {int(m): row[kind] for m, row in result['mIoU'].items() if kind in row}
        for masks, row in rows.items():
            values = [found[NETWORK] for found in row['seeds'].values()]
            axes.plot([masks] * len(values), values, 'o', color=color, alpha=0.4)
        means = [row['mean'] for row in rows.values()]
        label = 'tags for all 205 images' if kind == 'tags' else kind
        axes.plot(list(rows), means, color=color, label=label)
    axes.set_xlabel('images with masks')
    axes.set_ylabel('mIoU, 150 validation images')
    axes.grid(alpha=0.3)
    axes.legend()
    save_svg(figure, PLOT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    counts = (0, *SPLITS)
    help = 'numbers of masks, by default all'
    parser.add_argument(
        '--masks', type=int, nargs='+', default=counts, choices=counts, help=help
    )
    parser.add_argument('--jobs', type=int, default=2, help='processes side by side')
    args = parser.parse_args()
    cells = [
        (masks, tags, seed)
        for seed in args.seeds
        for masks in args.masks
        for tags in (False, True)
        if masks or tags
    ]
    saved, machines = saved_scores()
    missing = [cell for cell in cells if cell not in saved and not scores(cell)]
    if args.jobs and missing:
        make_tags()
        with ThreadPoolExecutor(args.jobs) as pool:
            seeds = sorted({seed for _, tags, seed in missing if tags})
            list(pool.map(train_classifier, seeds))
            list(pool.map(run, missing))
    measured = {cell: row for cell in cells if (row := scores(cell))}
    if measured:
        machines = sorted({*machines, machine()})
    if not saved | measured:
        raise SystemExit('no cell is finished, nothing was written')
    result = summarize(saved | measured, machines)
    with atomic_write(RESULT, 'w') as file:
        file.write(json.dumps(result, indent=1) + '\n')
    plot(result)
    for masks, row in result['mIoU'].items():
        for kind, found in row.items():
            spread = '' if found['std'] is None else f' +- {found["std"]:.1f}'
            print(f'{masks} masks, {kind}: {found["mean"]:.1f}{spread}')


if __name__ == '__main__':
    main()
