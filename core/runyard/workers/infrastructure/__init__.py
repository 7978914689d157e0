"""Infrastructure of work pools: one module per type, behind one protocol (`base`)."""
