"""Bytes for the model: canonical msgpack, documents and types, compressed and framed streams.

The only importer of msgpack and zstandard. Nothing here touches files or git.
"""
