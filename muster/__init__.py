"""Muster proves that production runbooks work."""
