"""What every model promises. `checks` holds the promises as plain functions; the mutation test breaks them on purpose."""
