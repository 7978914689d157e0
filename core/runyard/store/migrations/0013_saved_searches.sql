-- Filters that people keep by name in a dashboard.
CREATE TABLE saved_searches (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    filters TEXT NOT NULL           -- JSON
);
