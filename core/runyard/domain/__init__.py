"""Pure rules: decisions from given facts. No SQL, no input or output, no clock."""
