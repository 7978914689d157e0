"""Virtual environments of runs: one per content of requirement files, created once per machine."""
