"""Who asks (users, tokens) and what they may do (RBAC), in front of every request."""
