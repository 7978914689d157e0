"""Where things are kept: connections, transactions and migrations, on SQLite or PostgreSQL."""
