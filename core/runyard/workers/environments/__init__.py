"""Virtual environments of runs: one per content of a project's requirement files, made once a machine."""
