"""Runs whose executor is lost."""
