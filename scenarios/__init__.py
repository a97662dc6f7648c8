"""What happens, and what must hold: scenarios, demand, the crowd, the runner and the verdict."""
