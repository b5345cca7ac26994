"""Text from elsewhere: cleaned, and without secrets. Pure; every package may use it."""
