"""Deployed models as processes: unpacked, started, asked, and stopped with the endpoint."""
