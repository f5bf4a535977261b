"""Check what only a GPU can tell, in one call of at most ``--budget`` seconds.

    python benchmarks/gpu_check.py --out gpu_check.json [--only parity steps]

Each section runs in its own process, with a part of the remaining time. The report is
written after each section, so a killed call loses only one. The exit status is 1 if a
row of a section failed. ``--device cpu --tiny`` tests the logic without a GPU. For a
machine without network access see ``tools/misc/gpu_env.sh``;
``benchmarks/gpu_tables.py`` writes the tables of docs/gpu.md from the report.
"""

import os

if __name__ == '__main__':
    # Counting devices through the driver would leave forked processes without a GPU.
    os.environ.setdefault('PYTORCH_NVML_BASED_CUDA_CHECK', '1')

import argparse
import json
import logging
import multiprocessing
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from mmengine.registry import init_default_scope
from timing import add_device, machine

from mmseg_wsss.utils import atomic_write

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'tests'))

from gpu_sections import SECTIONS  # noqa: E402
from gpu_sections.measuring import Setting  # noqa: E402

RESULT = ROOT / 'benchmarks' / 'results' / 'gpu_check.json'


def run_section(name: str, args: argparse.Namespace) -> None:
    """Append each row of a section to its file as soon as it is known."""
    warnings.filterwarnings('ignore')
    logging.disable(logging.INFO)
    init_default_scope('mmseg')
    torch.set_num_threads(args.threads)
    with rows_path(name, args).open('a') as file, TemporaryDirectory() as folder:
        os.chdir(folder)  # for files that libraries write to the working directory
        try:
            if args.device == 'cuda':
                # Full precision, since the reference formulas run on a CPU.
                torch.backends.cuda.matmul.allow_tf32 = False
                torch.backends.cudnn.allow_tf32 = False
            for row in SECTIONS[name].rows(Setting(args.device, args.tiny)):
                print(json.dumps(row, default=str), file=file, flush=True)
        except BaseException:
            error = traceback.format_exc()[-1500:]
            row = {'what': name, 'ok': False, 'error': error}
            print(json.dumps(row), file=file, flush=True)


def start(name: str, args: argparse.Namespace) -> None:
    """Run a section in this forked process, or in a fresh one if it has no GPU."""
    os.setsid()  # so that its child processes end with it
    try:
        torch.zeros(1, device=args.device)
    except RuntimeError:
        os.execv(sys.executable, [sys.executable, *sys.argv, '--section', name])
    run_section(name, args)
    sys.stdout.flush()
    os._exit(0)  # without cleaning up what the parent has imported


def rows_path(name: str, args: argparse.Namespace) -> Path:
    return args.out.with_suffix(f'.{name}.jsonl')


def check_section(name: str, args: argparse.Namespace, limit: float) -> dict:
    """Run a section for at most ``limit`` seconds and return its report."""
    path, begin = rows_path(name, args), time.time()
    path.write_text('')
    # A fork shares the imports, which take longer than some sections.
    context = multiprocessing.get_context('fork')
    process = context.Process(target=start, args=(name, args))
    process.start()
    process.join(limit)
    late = process.is_alive()
    if late:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.unlink()
    failed = [row['what'] for row in rows if not row['ok']]
    if process.exitcode and not late:
        failed.append(f'{name}: exit status {process.exitcode}')
    return {
        'seconds': round(time.time() - begin, 1),
        'passed': sum(row['ok'] for row in rows),
        'failed': failed,
        'complete': not late,
        'rows': rows,
    }


def write(report: dict, path: Path) -> None:
    with atomic_write(path, 'w') as file:
        file.write(json.dumps(report, indent=1) + '\n')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_device(parser)
    parser.set_defaults(device='cuda')
    parser.add_argument('--tiny', action='store_true', help='small sizes, few methods')
    parser.add_argument('--budget', type=float, default=480, help='total seconds')
    parser.add_argument('--threads', type=int, help='default: all; 1 with --tiny')
    parser.add_argument('--only', nargs='+', choices=SECTIONS, default=[*SECTIONS])
    parser.add_argument('--out', type=Path, default=RESULT)
    parser.add_argument('--section', choices=SECTIONS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.out = args.out.resolve()
    args.threads = args.threads or (1 if args.tiny else os.cpu_count())
    if args.section:
        run_section(args.section, args)
        return
    end = time.time() + args.budget
    report = {'budget_s': args.budget, 'tiny': args.tiny, 'sections': {}}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(args.only):
        shares = [SECTIONS[other].SHARE for other in args.only[number:]]
        limit = max(end - time.time(), 1) * shares[0] / sum(shares)
        result = report['sections'][name] = check_section(name, args, limit)
        write(report, args.out)
        late = '' if result['complete'] else ', out of time'
        print(
            f'{name}: {result["seconds"]} s{late}, {result["passed"]} passed, '
            f'{len(result["failed"])} failed {result["failed"][:4]}',
            flush=True,
        )
    # The sections are over: this process may use the GPU, to read its name.
    report['machine'] = machine(args)
    write(report, args.out)
    raise SystemExit(any(part['failed'] for part in report['sections'].values()))


if __name__ == '__main__':
    main()
