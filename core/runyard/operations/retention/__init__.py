"""Removing what is old, and the size of the database."""
