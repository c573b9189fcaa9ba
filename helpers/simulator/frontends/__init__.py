"""Front ends of the simulated device: they translate a library's names and conventions, and decide nothing."""
