"""Work over whole data sets: stages, pseudo-label export, reports, measuring."""
