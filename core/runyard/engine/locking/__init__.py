"""Lock managers for cache keys: within one process, on one disk, or in the database."""
