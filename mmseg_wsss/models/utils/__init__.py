"""Small parts that several models use."""

from .behaviour import inference_behaviour
from .compiled_ops import ops_available, require_ops
from .precision import at_least_float32
from .pwm import pwm_signal
from .unwrap import unwrap

__all__ = [
    'at_least_float32',
    'inference_behaviour',
    'ops_available',
    'pwm_signal',
    'require_ops',
    'unwrap',
]
