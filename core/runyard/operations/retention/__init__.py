"""Retention: deletes old records. Also the size of the database."""
