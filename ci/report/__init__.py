"""The report and its renderings: Markdown, terminal, JSON. Pure."""
