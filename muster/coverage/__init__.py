"""Which of the runbooks' alerts and steps are proven by what, and what nothing proves.

Facts, runbooks, checks and experiments are read as text: nothing is imported, collected or run for it.
"""

from muster.coverage.page import render
from muster.coverage.table import Coverage, Row, cover

__all__ = ["Coverage", "Row", "cover", "render"]
