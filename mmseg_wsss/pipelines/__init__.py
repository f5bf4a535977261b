"""Process whole datasets: stages, pseudo-label export, comparisons, reports."""
