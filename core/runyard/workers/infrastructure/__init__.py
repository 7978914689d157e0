"""The infrastructure of work pools: one module per type, with one common protocol (`base`)."""
