"""Workers: claim the due runs of a work pool, launch them, watch them and report how they ended."""
