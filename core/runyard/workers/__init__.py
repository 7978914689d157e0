"""Workers: claim due runs of a work pool, launch them, watch them and report how they ended."""
