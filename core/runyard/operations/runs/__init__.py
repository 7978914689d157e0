"""What flow runs and task runs share: records, states, entering a state, removal."""
