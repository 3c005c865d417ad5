"""Checks get their fixtures from the installed plugin and tests from their own folder; pytester tests that plugin."""

pytest_plugins = ["pytester"]
