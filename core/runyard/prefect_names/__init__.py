"""Prefect's modules that do not correspond to one module of ours: each collects our names for one of them."""
