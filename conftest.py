"""Nothing is configured here: checks get their fixtures from the installed plugin, tests from their own folder."""
