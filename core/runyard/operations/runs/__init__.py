"""Shared by flow runs and task runs: records, states, entering a state, deletion."""
