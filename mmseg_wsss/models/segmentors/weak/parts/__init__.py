"""Parts that several weakly supervised methods share."""
