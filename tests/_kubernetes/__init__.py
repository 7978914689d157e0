"""A Kubernetes cluster for tests: the REST API with watches, a Job controller, and real processes as pods."""

from _kubernetes.cluster import Cluster

__all__ = ["Cluster"]
