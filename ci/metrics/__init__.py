"""Metric documents, the champion, and the gates between a model and production."""
