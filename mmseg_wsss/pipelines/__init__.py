"""Jobs over whole data sets: stages, export of pseudo-labels, reports, measuring."""
