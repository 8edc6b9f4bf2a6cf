"""`python -m annatto` is the `annatto` command."""

from annatto.app.cli import main

if __name__ == "__main__":
    main()
