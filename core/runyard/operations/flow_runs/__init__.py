"""Flow runs: insert, claim, start and end; their states, leases and pauses."""
