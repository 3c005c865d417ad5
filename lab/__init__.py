"""The lab: a world on one machine that stock clients take for a real cluster."""
