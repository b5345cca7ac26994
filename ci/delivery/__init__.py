"""The main job: from a trigger to a report, and the commands that pick up parts of it."""
