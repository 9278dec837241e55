"""Fake machines, built by code from recorded facts: one file per family of devices."""
