"""Where reports go: files, the comment, marks beside commits, the job's summary and outputs."""
