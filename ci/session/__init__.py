"""What commands begin with: project, trigger, environment, and jobs that are ready to go."""
