"""A Kubernetes API stand-in: a generic store, a table of resources, the REST semantics that clients rely on."""
