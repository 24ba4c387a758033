"""`python -m aspool.cli`: the same as the program `aspool`."""

if __name__ == "__main__":  # a job's child process loads the main module of its worker, and must not become one
    from .main import main

    main()
