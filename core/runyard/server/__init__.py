"""The API over HTTP (extra `server`): every operation is a route."""
