"""Results: how they become bytes, where they are kept, and the keys of the cache."""
