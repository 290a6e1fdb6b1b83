"""Studies: the recipe, its model tables, running it, its folder, and what it leaves."""
