"""What a right answer does: one module an assignment, each with a table `CHECKS`."""
