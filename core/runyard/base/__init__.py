"""What every room uses: errors, the clock, ids, redaction, async helpers. Imports no other room."""
