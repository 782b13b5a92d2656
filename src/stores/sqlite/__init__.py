"""The store on one machine: an SQLite file."""
