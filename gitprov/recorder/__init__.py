"""The one path by which a run is written: started, added to, finished, recovered.

`active` is a run that this process owns, `joined` one that an outer `git prov run` owns,
`command` puts a command line under a run, `recovery` finishes what died.
"""
