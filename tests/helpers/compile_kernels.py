"""Compile the Triton kernels for GPUs, without one.

    python tests/helpers/compile_kernels.py

Prints a JSON line for each kernel, variant and architecture, with the bytes of stack of
a thread: above 0, its registers spill to memory.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from mmseg_wsss.models.losses import gaussian_sum_triton as energy
from mmseg_wsss.models.refiners import local_affinity_triton as affinity

ARCHITECTURES = (80, 90)
OBJDUMP = Path(triton.__file__).parent / 'backends/nvidia/bin/cuobjdump'
FLOATS, HALVES, INTS = '*fp32', '*fp16', '*i32'


def variants() -> Iterator[tuple[Any, dict[str, str], dict[str, Any], int]]:
    """Yield kernels with their types (i32 by default), constants and warps."""
    maps = dict.fromkeys(('feat', 'values', 'out'), FLOATS)
    block = {'block_i': energy.BLOCK_I, 'block_j': energy.BLOCK_J, 'num_feats': 5}
    for block_v in (energy.MIN_VALUES, 32, energy.MAX_VALUES):
        yield energy._sum, maps, {**block, 'block_v': block_v}, 4
    place = dict.fromkeys(('sizes', 'rows', 'columns'), INTS)
    maps = {'img': FLOATS, 'position': FLOATS, 'out': HALVES}
    numbers = dict.fromkeys(('bandwidth', 'var_weight'), 'fp32')
    block = {'colors': 3, 'block_k': 64, 'block_p': affinity.BLOCK_CENTERS}
    for with_variation in (False, True):
        constants = {**block, 'with_variation': with_variation}
        yield affinity._weigh, {**place, **maps, **numbers}, constants, 8
    maps = {'maps': FLOATS, 'weights': HALVES, 'out': FLOATS}
    block = {'block_c': affinity.BLOCK_CHANNELS, 'block_p': affinity.BLOCK_PIXELS}
    yield affinity._step, {**place, **maps}, block, 4


def stack_bytes(
    kernel: Any, types: dict, constants: dict, warps: int, architecture: int
) -> int:
    """Compile a kernel and return the bytes of stack of a thread."""
    names = kernel.arg_names
    signature = {
        name: 'constexpr' if name in constants else types.get(name, 'i32')
        for name in names
    }
    values = {(names.index(name),): value for name, value in constants.items()}
    source = ASTSource(fn=kernel, signature=signature, constexprs=values)
    target = GPUTarget('cuda', architecture, 32)
    compiled = triton.compile(source, target=target, options={'num_warps': warps})
    with tempfile.NamedTemporaryFile(suffix='.cubin') as file:
        file.write(compiled.asm['cubin'])
        file.flush()
        usage = subprocess.check_output([OBJDUMP, '-res-usage', file.name], text=True)
    return int(re.search(r'STACK:(\d+)', usage)[1])


if __name__ == '__main__':
    for kernel, types, constants, warps in variants():
        for architecture in ARCHITECTURES:
            stack = stack_bytes(kernel, types, constants, warps, architecture)
            row = {'kernel': kernel.__name__, 'sm': architecture, 'stack': stack}
            print(json.dumps({**row, **constants}))
