"""The soak: flows, the disturber, and what is counted at the end."""
