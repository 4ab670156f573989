"""Records, errors, configuration, discovery, hashing, provenance and atomic files: what everything stands on."""
