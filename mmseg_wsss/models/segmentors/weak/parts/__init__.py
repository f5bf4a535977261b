"""What several weakly supervised methods are made of."""
