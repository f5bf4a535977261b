"""Run a comparison, several processes at a time, and report it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from mmseg_wsss.utils.cpus import available_cpus
from mmseg_wsss.utils.settings import check_value

from .compare_report import write_report
from .compare_run import finished, restore
from .comparison import (
    Comparison,
    Run,
    final_checkpoint,
    read_comparison,
    starts_of,
)
from .comparison_check import check_fair

LOG = 'compare.log'
Job = tuple[str, int]


@dataclass
class Running:
    """Process that executes a run.

    Args:
        process: The process.
        slot: Slot in [0, jobs) that it occupies, which selects its GPU.
        log: File of its output.
        offset: Size of the log at its start in bytes, from earlier attempts.
        began: Time of its start in seconds, from ``time.monotonic``.
    """

    process: subprocess.Popen
    slot: int
    log: Path
    offset: int = 0
    began: float = field(default_factory=time.monotonic)


def default_jobs() -> int:
    """Return the number of GPUs, or of the available CPU cores without a GPU."""
    return torch.cuda.device_count() or available_cpus()


def compare(
    path: str | os.PathLike,
    out: str | os.PathLike,
    jobs: int | None = None,
    allow_different: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    reuse: Sequence[str | os.PathLike] = (),
    only: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Complete the runs of a comparison, and write its JSON, table and plot.

    Each run is a separate process with one thread, on a GPU if there is one. Finished
    runs are kept, and interrupted runs resume from their last checkpoint. A failed run
    is reported in one line, and the others continue.

    Args:
        path: Comparison file, see ``configs/comparisons/README.md``.
        out: Folder of the results, ``NAME.json``, ``NAME.md`` and ``NAME.svg``, and of
            the runs, below ``runs/``.
        jobs: Number of runs at a time, see :func:`default_jobs`; 0 only reports what is
            finished.
        allow_different: Parts that may differ between the runs, see
            :func:`.check_fair`.
        seeds: Seeds to run, in place of the file's. The report includes every finished
            seed.
        reuse: Saved reports; their runs of the same configs count as finished.
        only: Names of the runs to execute besides the baseline; all by default.

    Returns:
        Content of the JSON file.

    Raises:
        ValueError: If runs differ in what must be equal, ``jobs`` is negative, no run
            is finished, or a file of ``reuse`` is not a report.
    """
    chosen, whole = read_comparison(path, seeds, only), read_comparison(path)
    whole = replace(whole, seeds=tuple(dict.fromkeys((*whole.seeds, *chosen.seeds))))
    check_fair(whole, allow_different)
    jobs = default_jobs() if jobs is None else jobs
    check_value('jobs', jobs, at_least=0)
    root = str(Path(out, 'runs'))
    known = {
        Path(whole.config(run, seed, root).work_dir)
        for run, seed in (whole.jobs() if reuse else ())
    }
    for report in reuse:
        folders = restore(report, root)
        same = len(folders & known)
        print(f'{report}: {same} of its {len(folders)} runs have the same configs')
    if jobs:
        _prepare(chosen)
    failed = _do_all(chosen, str(path), root, jobs)
    allowed = sorted({*allow_different, *whole.allow_different})
    return write_report(whole, Path(out), _results(whole, root), failed, allowed)


def _prepare(comparison: Comparison) -> None:
    """Generate the toy images that the runs need."""
    from mmseg_wsss.datasets.toy.toy_voc import generate

    for root in {run.load().get('data_root') for run in comparison.runs.values()}:
        if root and Path(root).name == 'toy_voc':
            generate(root)


def _results(comparison: Comparison, root: str) -> dict[Job, dict]:
    found = {
        (run.name, seed): finished(comparison, run, seed, root)
        for run, seed in comparison.jobs()
    }
    return {job: result for job, result in found.items() if result}


def _do_all(comparison: Comparison, path: str, root: str, jobs: int) -> dict[Job, str]:
    """Execute all unfinished runs; return the reasons why runs failed."""
    done = set(_results(comparison, root))
    done -= _lost_starts(comparison, done, root)
    waiting = [job for job in comparison.jobs() if (job[0].name, job[1]) not in done]
    total, failed = len(done) + len(waiting), dict[Job, str]()
    if done or not jobs:
        print(f'{len(done)} of {total} runs are finished', flush=True)
    running: dict[Job, Running] = {}
    begin = time.monotonic()
    try:
        while jobs and (waiting or running):
            _drop_without_start(waiting, failed)
            while len(running) < jobs and (job := _next(waiting, done)):
                slots = {one.slot for one in running.values()}
                slot = min(set(range(jobs)) - slots)
                running[job[0].name, job[1]] = _begin(comparison, path, job, root, slot)
            for key, one in list(running.items()):
                if one.process.poll() is None:
                    continue
                del running[key]
                reason = _reason(one) if one.process.returncode else None
                (done.add(key) if reason is None else failed.update({key: reason}))
                again = _other_start(comparison, key, done, root)
                done -= {(run.name, seed) for run, seed in again}
                waiting += again
                left = len(waiting) + len(running)
                _tell(key, one, reason, total, left, time.monotonic() - begin)
            time.sleep(0.1)
    finally:
        for one in running.values():
            one.process.terminate()
        for one in running.values():
            one.process.wait()
    return failed


def _lost_starts(comparison: Comparison, done: set[Job], root: str) -> set[Job]:
    """Return the starts that unfinished runs need but that have no checkpoint."""
    lost = set[Job]()
    for run, seed in comparison.jobs():
        if (run.name, seed) in done:
            continue
        for name in starts_of(run, comparison.starts):
            cfg = comparison.config(comparison.starts[name], seed, root)
            if final_checkpoint(cfg).is_file():
                break
            lost.add((name, seed))
    return lost


def _other_start(
    comparison: Comparison, start: Job, done: set[Job], root: str
) -> list[tuple[Run, int]]:
    """Return the finished runs that did not start from the network of ``start``."""
    return [
        (run, seed)
        for run, seed in comparison.jobs()
        if (run.start, seed) == start
        and (run.name, seed) in done
        and finished(comparison, run, seed, root) is None
    ]


def _drop_without_start(waiting: list[tuple[Run, int]], failed: dict[Job, str]) -> None:
    for run, seed in list(waiting):
        if run.start is not None and (run.start, seed) in failed:
            waiting.remove((run, seed))
            failed[run.name, seed] = f'its start {run.start!r} failed'


def _next(waiting: list[tuple[Run, int]], done: set[Job]) -> tuple[Run, int] | None:
    """Remove and return the first waiting run with a finished start, or None."""
    for job in waiting:
        run, seed = job
        if run.start is None or (run.start, seed) in done:
            waiting.remove(job)
            return job
    return None


def _begin(
    comparison: Comparison, path: str, job: tuple[Run, int], root: str, slot: int
) -> Running:
    run, seed = job
    folder = Path(comparison.config(run, seed, root).work_dir)
    folder.mkdir(parents=True, exist_ok=True)
    module = 'mmseg_wsss.pipelines.compare_run'
    command = [sys.executable, '-m', module, path, run.name, str(seed), root]
    with open(folder / LOG, 'ab') as log:
        offset = log.tell()
        process = subprocess.Popen(  # noqa: S603
            command, stdout=log, stderr=log, env={**os.environ, **_device(slot)}
        )
    return Running(process, slot, folder / LOG, offset)


def _device(slot: int) -> Mapping[str, str]:
    """Return the environment of a process: one thread, and one GPU if there are any."""
    variables = {'OMP_NUM_THREADS': '1'}
    count = torch.cuda.device_count()
    if count:
        visible = os.environ.get('CUDA_VISIBLE_DEVICES', '')
        devices = visible.split(',') if visible else [str(i) for i in range(count)]
        variables['CUDA_VISIBLE_DEVICES'] = devices[slot % count]
    return variables


def _reason(one: Running) -> str:
    """Return why a process failed: the signal, or the last line of its output."""
    code = one.process.returncode
    if code == -signal.SIGKILL:
        return 'killed by SIGKILL, e.g. for lack of memory'
    if code < 0:
        names = {int(one): one.name for one in signal.Signals}
        return f'killed by {names.get(-code, f"signal {-code}")}'
    text = one.log.read_bytes()[one.offset :].decode('utf-8', 'replace')
    lines = text.strip().splitlines()
    return lines[-1] if lines else f'exit status {code}'


def _tell(
    key: Job, one: Running, reason: str | None, total: int, left: int, elapsed: float
) -> None:
    name, seed = key
    seconds = time.monotonic() - one.began
    did = total - left
    about = f'{left} left' + (f', {elapsed:.0f} s so far' if left else '')
    line = f'{name}, seed {seed}: {seconds:.0f} s'
    if reason is not None:
        line = f'FAILED {name}, seed {seed}: {reason} (log: {one.log})'
    print(f'[{did}/{total}] {line}; {about}', flush=True)
