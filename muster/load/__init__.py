"""Load by Locust, always as a subprocess: its gevent patches are fatal to everything else here."""

from muster.load.run import Load, LoadError

__all__ = ["Load", "LoadError"]
