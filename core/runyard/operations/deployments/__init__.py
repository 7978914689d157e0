"""Deployments and the flows that they run: what is stored, applied and shown."""
