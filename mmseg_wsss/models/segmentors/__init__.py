from .asdt import ASDT
from .rrm import RRM
from .wsss_base import WSSSBase
from .wsss_tta import WSSSTTAModel

__all__ = ['ASDT', 'RRM', 'WSSSBase', 'WSSSTTAModel']
