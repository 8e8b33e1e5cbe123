"""What `git prov init` installs, and what the installed hooks do.

The shims themselves are shell scripts in the top-level folder `hooks/`; a wheel carries them as
`gitprov/hooks/shims/`.
"""
