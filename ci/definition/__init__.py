"""Pipeline definitions: parse, validate, canonical bytes, digest, graph. Pure."""
