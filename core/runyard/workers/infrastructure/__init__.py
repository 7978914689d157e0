"""Where the jobs of a work pool run: one module for each type, behind one protocol (`base`)."""
