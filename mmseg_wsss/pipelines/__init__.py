"""Process whole data sets: stages, pseudo-label export, comparisons, reports."""
