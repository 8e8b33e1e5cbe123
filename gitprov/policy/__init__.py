"""Judgements on records. A verdict reads the ledger itself, never the index."""
