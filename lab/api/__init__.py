"""A Kubernetes API stand-in: a generic store, a table of resources, and the REST semantics that stock clients rely on."""
