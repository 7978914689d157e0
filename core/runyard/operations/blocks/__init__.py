"""Block types, their schemas and saved block documents."""
