"""Compatibility: programs that say `from prefect import flow` get Runyard's own objects."""
