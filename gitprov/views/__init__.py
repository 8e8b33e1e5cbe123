"""Runs as text: listings, pages, JSON. Pure functions; nothing here prints or asks git."""
