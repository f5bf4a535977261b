"""Lists of labeled and unlabeled images: draw, import, read."""
