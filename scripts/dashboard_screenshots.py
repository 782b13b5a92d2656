"""Writes the pictures of docs/dashboard.md: a gateway with sample usage, driven by headless Chromium.

PYTHONPATH=.:tests python scripts/dashboard_screenshots.py [NAME...]
"""
