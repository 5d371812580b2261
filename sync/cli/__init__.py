"""The command line: one module per verb, each with `main(argv) -> exit code`."""
