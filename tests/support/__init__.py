"""Builders for tests: repositories, commands in them, servers."""
