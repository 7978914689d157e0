"""Runs as jobs of an infrastructure, such as containers: launched, watched, adopted."""
