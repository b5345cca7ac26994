"""Real parts that tests share: servers on loopback, repositories in tmp, definitions."""
