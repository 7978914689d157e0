"""Runs as processes of this machine: launched, supervised, and their reports."""
