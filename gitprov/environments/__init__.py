"""Recorded environments beside each other, and beside this machine: looked at, compared, rebuilt.

What stands here joins the index, which knows where environments were recorded, and capture, which
looks at what is installed today.
"""
