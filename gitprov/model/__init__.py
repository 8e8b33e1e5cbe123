"""What gitprov speaks of: runs, the artifacts they read and write, and their ids.

Frozen dataclasses over the standard library alone. Bytes, files and git are other layers' matter.
"""
