"""Parts that several semi-supervised methods share."""
