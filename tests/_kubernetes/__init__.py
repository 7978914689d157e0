"""A Kubernetes cluster for tests: the REST and watch protocol, a Job controller, and a kubelet with real processes."""

from _kubernetes.cluster import Cluster

__all__ = ["Cluster"]
