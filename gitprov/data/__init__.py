"""Recorded data beside what is there now: what it was, what has changed, and the bytes again.

What stands here joins the index, which knows where data was recorded, and capture, which looks at
what lies there today.
"""
