"""The engine: runs flows and tasks in this process, and writes down what happens."""
