"""The core: what a gateway does, without network, clock, environment or cloud."""
