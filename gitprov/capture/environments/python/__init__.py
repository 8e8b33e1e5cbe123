"""What is installed for a Python interpreter."""
