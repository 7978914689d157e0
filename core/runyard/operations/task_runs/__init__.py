"""Task runs, and background tasks."""
