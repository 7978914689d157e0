"""Pure rules: what follows from given facts. No SQL, no input or output, no clock."""
