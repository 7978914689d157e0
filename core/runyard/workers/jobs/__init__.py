"""Runs as jobs of an infrastructure, such as containers: launching, watching, adoption."""
