"""``systems/<name>.yaml`` -> typed, validated facts."""

from muster.system.load import load_environment, load_system, system_names
from muster.system.model import Alert, Environment, Limit, Slo, System

__all__ = ["Alert", "Environment", "Limit", "Slo", "System", "load_environment", "load_system", "system_names"]
