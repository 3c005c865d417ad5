"""A trickle of users: steady, well-behaved requests that keep rates from being empty."""
