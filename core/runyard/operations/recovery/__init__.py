"""Recovery of runs whose executor was lost."""
