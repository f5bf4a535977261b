"""Times, host waits and kernels of calls, for the sections of gpu_check.py."""

import statistics
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from helpers.methods import METHODS
from timing import milliseconds_of, synchronize
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

# Of the published recipes: the methods of a tiny check.
FEW = ('ASDT', 'TSCD', 'RCMMAM', 'MKD')


@dataclass(frozen=True)
class Setting:
    """Device of a check, and whether sizes are small."""

    device: str
    tiny: bool

    @property
    def gpu(self) -> bool:
        return self.device == 'cuda'

    @property
    def methods(self) -> tuple[str, ...]:
        return FEW if self.tiny else tuple(METHODS)


def milliseconds(
    calls: dict[str, Callable[[], object]], setting: Setting, repeats: int = 10
) -> dict[str, float]:
    """Return the median milliseconds of every call; the calls take turns."""
    warm, rounds = (0, 1) if setting.tiny else (2, repeats)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(warm + rounds):
        for name, call in calls.items():
            took = milliseconds_of(call, setting.device)
            if number >= warm:
                times[name].append(took)
    return {name: statistics.median(values) for name, values in times.items()}


def relative_gap(found: Tensor, expected: Tensor) -> float:
    """Return the norm of a difference, divided by the norm of what is expected."""
    found, expected = (x.detach().double().cpu() for x in (found, expected))
    return float((found - expected).norm() / expected.norm().clamp(min=1e-12))


def waits_of(call: Callable[[], object], setting: Setting) -> dict[str, int]:
    """Return how often the host waits for the GPU in a call, by file and line."""
    if not setting.gpu:
        return {}
    synchronize(setting.device)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        torch.cuda.set_sync_debug_mode('warn')
        try:
            call()
        finally:
            torch.cuda.set_sync_debug_mode('default')
    places = [
        f'{"/".join(found.filename.split("/")[-3:])}:{found.lineno}'
        for found in caught
        if 'synchroniz' in str(found.message)
    ]
    return dict(Counter(places).most_common())


def profile_of(call: Callable[[], object], setting: Setting) -> dict:
    """Return launches, busy milliseconds and the ten longest kernels of a call.

    On a CPU, operations take the place of kernels.
    """
    activities = [ProfilerActivity.CPU]
    if setting.gpu:
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as prof:
        call()
        synchronize(setting.device)
    events = prof.key_averages()
    device = DeviceType.CUDA if setting.gpu else DeviceType.CPU
    took = {
        event.key: (
            event.self_device_time_total if setting.gpu else event.self_cpu_time_total,
            event.count,
        )
        for event in events
        if event.device_type == device
        and not getattr(event, 'is_user_annotation', False)
    }
    longest = sorted(took.items(), key=lambda item: -item[1][0])[:10]
    return {
        'launches': sum(e.count for e in events if 'LaunchKernel' in e.key),
        'busy_ms': sum(time for time, _ in took.values()) / 1e3,
        'longest': [[key[:70], n, round(us / 1e3, 3)] for key, (us, n) in longest],
    }
