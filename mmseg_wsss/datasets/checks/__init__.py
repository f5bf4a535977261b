"""What the check of a data set looks at."""
