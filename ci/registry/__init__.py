"""Model packages: approval, and the metadata that ties a package to its commit."""
