"""Which files the processes of a command read and write, as the kernel or Python tells."""
