"""`python -m matinee`, the same as `matinee`."""

from matinee.cli import main

if __name__ == "__main__":
    main()
