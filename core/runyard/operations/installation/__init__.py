"""The installation as a whole: health, overview, and names for shell completion."""
