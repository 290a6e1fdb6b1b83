"""What every model promises: `checks` as plain functions, which the mutation test runs on broken models too."""
