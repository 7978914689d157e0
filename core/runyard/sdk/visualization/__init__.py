"""`flow.visualize()`: the graph of the tasks of a flow."""
