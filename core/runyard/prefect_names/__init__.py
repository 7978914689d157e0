"""Modules of Prefect that are no one module of ours: their names, gathered from where they live here."""
