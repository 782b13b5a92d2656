"""Outgoing network access: requests to providers, their credentials, and images that clients reference by URL."""
