"""What gitprov knows, in the formats of others: for installers, auditors and builders."""
