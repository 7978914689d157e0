"""Deployments and their flows: create, apply, read, and versions."""
