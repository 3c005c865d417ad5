"""The way in: a controller that keeps HAProxy in step with ingresses, services and endpoints, without a reload."""

from lab.ingress.controller import run

__all__ = ["run"]
