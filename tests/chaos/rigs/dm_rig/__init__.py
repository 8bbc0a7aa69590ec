"""dm_svc with one thing broken on purpose, named by RIG_SABOTAGE."""
