"""What a run leaves behind: its folder, summary.json, JUnit, Allure labels, and the HTML report over all runs."""

from muster.report.folder import RUN_VARIABLE, run_folder
from muster.report.summary import Skip, Summary

__all__ = ["RUN_VARIABLE", "Skip", "Summary", "run_folder"]
