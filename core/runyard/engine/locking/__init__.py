"""Lock managers: who may compute the value of a key, in one process, on one disk, or anywhere."""
