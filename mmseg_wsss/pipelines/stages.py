"""Run the stages of a pipeline; finished ones are recognized by their inputs."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from mmseg_wsss.utils import atomic_write, sha256_of
from mmseg_wsss.utils.configs import walk, walk_dicts
from mmseg_wsss.utils.locks import file_lock
from mmseg_wsss.utils.progress import progress_of_log

from .given_masks import mask_files

RECORD = 'stage.json'


@dataclass(frozen=True)
class Stage:
    """Stage of a pipeline.

    Args:
        name: Name of the stage and of its folder.
        settings: Everything that determines the result, as JSON values. Files that are
            named here (checkpoints, lists, tags), and the masks of labeled images,
            count with their content.
        needs: Names of the stages that provide its inputs.
        run: Function that runs the stage in its folder. It may resume an interrupted
            run with the same settings and inputs.
        output: File or folder that the stage writes.
    """

    name: str
    settings: Mapping[str, Any]
    needs: Sequence[str]
    run: Callable[[], None]
    output: Path


def run_stages(
    stages: Sequence[Stage], work_dir: Path, console: Console
) -> dict[str, dict]:
    """Run all stages that are not finished.

    ``stage.json`` in the folder of a stage stores its key when it starts, a digest of
    its settings, of the files named in them and of its inputs, and a digest of its
    output when it ends. A stage is finished if both equal the current ones. If its key
    has changed, its folder is emptied. A folder of its name without ``stage.json`` was
    written by something else.

    Args:
        stages: Stages in order; each one needs only earlier ones.
        work_dir: Folder with one folder per stage.
        console: Console for the progress.

    Returns:
        Record of each stage: ``key``, ``output`` and ``seconds``.

    Raises:
        FileExistsError: If the folder of a stage has files of something else; before
            the first stage.
        RuntimeError: If a stage writes no output.
    """
    for stage in stages:
        _refuse_foreign(work_dir / stage.name)
    records: dict[str, dict] = {}
    for number, stage in enumerate(stages, 1):
        folder = work_dir / stage.name
        title = f'{number}/{len(stages)} {stage.name}'
        inputs = {name: records[name]['output'] for name in stage.needs}
        parts = [stage.settings, named_files(stage.settings), inputs]
        text = json.dumps(parts, sort_keys=True, default=str)
        key = hashlib.sha256(text.encode()).hexdigest()
        record = _read(folder / RECORD)
        if record.get('key') != key:
            if record:
                text = f'{title}: settings or inputs have changed: {folder} is emptied'
                console.print(text, soft_wrap=True, highlight=False)
                _empty(folder)
            record = {'key': key, 'seconds': 0.0}
            _write(folder / RECORD, record)
        if 'output' in record and record['output'] == digest(stage.output):
            console.print(f'{title}: done before')
        else:
            begin = time.monotonic()
            with (
                _named_when_stopped(title, console),
                progress_of_log(title, folder / 'log.txt', console.file, console.quiet),
            ):
                stage.run()
            record['seconds'] += time.monotonic() - begin
            record['output'] = digest(stage.output)
            if record['output'] is None:
                raise RuntimeError(f'stage {stage.name} wrote no {stage.output}')
            _write(folder / RECORD, record)
            console.print(f'{title}: {record["seconds"]:.0f} s')
        records[stage.name] = record
    return records


def _refuse_foreign(folder: Path) -> None:
    """Raise a FileExistsError if a folder has files, but not those of a stage."""
    if (folder / RECORD).is_file() or not folder.exists():
        return
    files = [folder] if folder.is_file() else sorted(folder.glob('[!.]*'))
    if files:
        raise FileExistsError(
            f'{folder} has files that no pipeline has written (there is no {RECORD}), '
            f'such as {files[0].name}; choose another work folder (--work-dir)'
        )


def _empty(folder: Path) -> None:
    """Remove the content of a stage, but not yet its record: it may be interrupted."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != RECORD:
            path.unlink()


@contextmanager
def _named_when_stopped(title: str, console: Console) -> Iterator[None]:
    """Print in which stage a pipeline was stopped, and how to resume it."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        text = f'stopped in stage {title}; run the same command again to go on'
        console.print(text, soft_wrap=True, highlight=False)
        raise


def digest(path: Path) -> str | None:
    """Return the SHA-256 of a file, or of all files in a folder with their names.

    Hidden files are incomplete and left out. Without any file, the result is None.
    """
    if path.is_file():
        files = [path]
    else:
        files = sorted(file for file in path.rglob('[!.]*') if file.is_file())
    total = hashlib.sha256()
    for file in files:
        content = bytes.fromhex(sha256_of(file))
        total.update(str(file.relative_to(path)).encode() + b'\0' + content)
    return total.hexdigest() if files else None


def named_files(settings: Any) -> dict[str, str]:
    """Return the SHA-256 of every file named in settings, by its path.

    Names may be relative to ``data_root``. The masks of the labeled images of a
    ``SemiDataset`` count as named.
    """
    paths = set(_strings(settings)) | mask_files(settings)
    for part in walk_dicts(settings):
        if part.get('data_root'):
            paths |= {os.path.join(part['data_root'], name) for name in _strings(part)}
    return {path: sha256_of(path) for path in paths if os.path.isfile(path)}


def _strings(node: Any) -> Iterator[str]:
    return (part for _, part in walk(node) if isinstance(part, str))


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Raise ``SystemExit`` on SIGTERM and SIGHUP, which also ends a stage's command."""

    def stop(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    signals = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, stop) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before):
            signal.signal(number, handler)


@contextmanager
def only_one(work_dir: Path) -> Iterator[IO]:
    """Lock a work folder for this process and those that inherit the lock file.

    On a file system without locks, a line is printed instead.

    Raises:
        BlockingIOError: If the folder is locked, for example by a command of a killed
            pipeline.
    """
    busy = (
        f'{work_dir} is in use by another pipeline, export or import, or by a command '
        'that a killed pipeline has started; wait for it or terminate it'
    )
    with file_lock(work_dir / '.lock', busy) as lock:
        yield lock


def call(command: Sequence[str], log: Path, lock: IO) -> None:
    """Run a command, append its output to a file, and terminate it with this process.

    Raises:
        RuntimeError: If the command fails; the message has its last lines of output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    begin = log.stat().st_size if log.is_file() else 0
    with (
        log.open('ab') as stream,
        subprocess.Popen(  # noqa: S603  (our own tools)
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            pass_fds=(lock.fileno(),),
            env={**os.environ, 'PYTHON': sys.executable, 'PYTHONUNBUFFERED': '1'},
        ) as process,
    ):
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            raise
    if code:
        output = log.read_bytes()
        lines = output[begin:].decode(errors='replace').splitlines()
        known = [line for line in lines if line.startswith('error: ')]
        last = output.decode(errors='replace').splitlines()[-15:]
        end = '\n'.join(known[-1:] or last)
        raise RuntimeError(
            f'{" ".join(command)} failed with status {code}; {log} ends with:\n{end}'
        )


def _read(path: Path) -> dict:
    return json.loads(path.read_text()) if path.is_file() else {}


def _write(path: Path, record: dict) -> None:
    with atomic_write(path, 'w') as file:
        json.dump(record, file, indent=1)
