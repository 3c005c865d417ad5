"""Ports for servers of a test's own: the product's way, under the name that tests ask for."""

from muster.load.ports import free_port

__all__ = ["free_port"]
