"""Lists of labeled and unlabeled images: draw, import, identify, read."""
