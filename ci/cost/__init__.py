"""What a run cost, as an estimate: dated prices, and how long which instances ran. Pure."""
