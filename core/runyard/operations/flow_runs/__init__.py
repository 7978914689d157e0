"""Flow runs: insert, claim, start, end; their states, leases, pauses and recovery."""
