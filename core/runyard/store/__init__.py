"""Storage: connections, transactions and migrations, on SQLite or PostgreSQL."""
