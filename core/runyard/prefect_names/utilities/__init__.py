"""The names of Prefect's utility modules that scripts use: small functions over our own."""
