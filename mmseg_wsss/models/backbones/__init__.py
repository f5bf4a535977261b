"""Backbones that mmseg and mmpretrain lack."""

from .attention_mit import AttentionMiT
from .wide_resnet38 import WideResNet38

__all__ = ['AttentionMiT', 'WideResNet38']
