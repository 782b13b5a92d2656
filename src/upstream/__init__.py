"""The network out: requests to providers, their credentials, and images that clients name by URL."""
