import os
import signal
import time

import pytest

from mmseg_wsss.utils.parallel import parallel_map


def square(number):
    if number == 13:
        raise ValueError('unlucky 13')
    return number * number, os.getpid()


def mark(path):
    time.sleep(0.02)
    path.touch()


@pytest.mark.parametrize('workers', [0, 1, 3])
@pytest.mark.parametrize('progress', [False, True])
def test_results_come_in_order(workers, progress):
    numbers = [*range(12), 40]
    results = list(parallel_map(square, iter(numbers), workers, 'x', progress, 2))
    assert [result[0] for result in results] == [n * n for n in numbers]
    others = {result[1] for result in results} - {os.getpid()}
    assert bool(others) == (workers > 0)


@pytest.mark.parametrize('workers', [0, 2])
def test_an_error_of_the_function_is_raised(workers):
    results = parallel_map(square, [1, 13, 2], workers, chunk_size=1)
    assert next(results)[0] == 1
    with pytest.raises(ValueError, match='unlucky 13'):
        next(results)


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_was_killed_is_named():
    with pytest.raises(ChildProcessError, match='use fewer workers'):
        list(parallel_map(die, [1, 2], 2))


def test_an_interrupt_drops_what_has_not_begun(tmp_path):
    paths = [tmp_path / str(number) for number in range(400)]
    with pytest.raises(KeyboardInterrupt):
        for _ in parallel_map(mark, paths, 2, chunk_size=2):
            raise KeyboardInterrupt
    done = len(os.listdir(tmp_path))
    time.sleep(0.2)
    assert done == len(os.listdir(tmp_path))
    assert 0 < done < 200


def test_negative_workers_are_refused():
    with pytest.raises(ValueError, match='at least 0, got -1'):
        list(parallel_map(square, [1], -1))


def test_nothing_to_do():
    assert list(parallel_map(square, [], 4, progress=True)) == []
