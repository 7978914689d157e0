"""Compatibility: programs with `from prefect import flow` get Runyard's own objects."""
