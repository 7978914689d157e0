"""Logs, artifacts, results and variables."""
