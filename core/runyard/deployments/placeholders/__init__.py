"""Placeholders such as `{{ $ENV }}`: filled from steps, the environment and the database."""
