"""What several semi-supervised methods are made of."""
