from .scene_dataset import SceneDataset

__all__ = ['SceneDataset']
