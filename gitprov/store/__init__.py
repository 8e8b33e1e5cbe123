"""Runs in git: journal, objects, packs, refs, ledger, notes, and their exchange with remotes.

The only layer that runs git for storage, and the only importer of pygit2. What each module
guarantees stands in its docstring; the format is `docs/format/spec-v1.md`.
"""
