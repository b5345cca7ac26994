"""Starting, following and stopping executions. The reducer over snapshots is pure."""
