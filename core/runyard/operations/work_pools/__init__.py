"""Work pools, their queues and their workers."""
