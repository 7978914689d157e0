"""The installation as a whole: health, its overview, names for completion."""
