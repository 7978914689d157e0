"""Runs as processes of this machine: launching, supervision, and reports."""
