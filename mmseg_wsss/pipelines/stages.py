"""Work in stages that are recognized by what they were made of."""

import fcntl
import hashlib
import json
import os
import shutil
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

RECORD = 'stage.json'


@dataclass(frozen=True)
class Stage:
    """One step of a pipeline.

    Args:
        name: Name, also of its folder.
        settings: Whatever decides about the result, as JSON can hold it. Files that it
            names (checkpoints, lists, tags) count with their content.
        needs: Names of the stages whose outputs it reads.
        run: Does the work, in the stage's folder. Where it finds the rests of a run of
            the same settings and inputs, it may go on with them.
        output: File or folder that it leaves.
    """

    name: str
    settings: Mapping[str, Any]
    needs: Sequence[str]
    run: Callable[[], None]
    output: Path


def run_stages(
    stages: Sequence[Stage], work_dir: Path, console: Console
) -> dict[str, dict]:
    """Run what is not done yet.

    ``stage.json`` in the folder of a stage holds its key, a digest of its settings, of
    the files that they name and of the outputs that it needs, from its beginning on,
    and the digest of its output once that is whole. A stage is done where both agree
    with what is there now; it begins in an empty folder where its key has changed.

    Args:
        stages: Stages in their order; each needs earlier ones only.
        work_dir: Folder that has one folder of each stage.
        console: Where progress is shown.

    Returns:
        Record of each stage: ``key``, ``output`` and ``seconds``.
    """
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
            shutil.rmtree(folder, ignore_errors=True)
            record = {'key': key, 'seconds': 0.0}
            _write(folder / RECORD, record)
        if 'output' in record and record['output'] == digest(stage.output):
            console.print(f'{title}: done before')
        else:
            begin = time.monotonic()
            with console.status(title):
                stage.run()
            record['seconds'] += time.monotonic() - begin
            record['output'] = digest(stage.output)
            if record['output'] is None:
                raise RuntimeError(f'stage {stage.name} left no {stage.output}')
            _write(folder / RECORD, record)
            console.print(f'{title}: {record["seconds"]:.0f} s')
        records[stage.name] = record
    return records


def digest(path: Path) -> str | None:
    """SHA-256 of a file, or of all files of a folder with their names; None if absent.

    Hidden files, which are not whole yet, do not count.
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
    """Return the SHA-256 of every file that settings name, also below ``data_root``."""
    paths = set(_strings(settings))
    for part in walk_dicts(settings):
        if part.get('data_root'):
            paths |= {os.path.join(part['data_root'], name) for name in _strings(part)}
    return {path: sha256_of(path) for path in paths if os.path.isfile(path)}


def _strings(node: Any) -> Iterator[str]:
    return (part for _, part in walk(node) if isinstance(part, str))


@contextmanager
def only_one(work_dir: Path) -> Iterator[IO]:
    """Hold a work folder, for this process and those that get the lock's file.

    Raises:
        RuntimeError: If the folder is held, as by a command that outlived a pipeline.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    with (work_dir / '.lock').open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(
                f'{work_dir} is in use by another pipeline, or by a command that one '
                'has left running; wait for it or end it'
            ) from error
        yield lock


def call(command: Sequence[str], log: Path, lock: IO) -> None:
    """Run a command whose output goes to a file; it ends with this process.

    Raises:
        RuntimeError: If it fails; the message has the end of its output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
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
        end = '\n'.join(log.read_text(errors='replace').splitlines()[-15:])
        raise RuntimeError(f'{" ".join(command)} ended with {code}; {log} ends:\n{end}')


def _read(path: Path) -> dict:
    return json.loads(path.read_text()) if path.is_file() else {}


def _write(path: Path, record: dict) -> None:
    with atomic_write(path, 'w') as file:
        json.dump(record, file, indent=1)
