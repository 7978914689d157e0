"""Development sessions: copies of deployments in a throw-away pool, deployed again on save."""
