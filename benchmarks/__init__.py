"""Ratios against the tools a user would otherwise run, measured side by side in one run."""
