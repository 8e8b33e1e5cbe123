"""What `git prov doctor` looks at, and what it can put right.

One module for each area; the table of checks is in `gitprov.doctor.examination`.
"""
