"""What scripts take from the modules of `prefect.logging` that are about how records look."""
