"""The names of Prefect's logging modules for configuration and formats."""
