"""CustomResourceDefinitions: kinds that clients bring along, served as rows of the table."""
