"""Muster as a pytest plugin."""
