"""A page to watch and steer, served on this computer alone: ``python -m nnstyle.studio`` (extra ``studio``).

`server` listens, `guard` decides who may ask, `app` answers, `studio` paints one picture after the other, and
`folder` keeps what was given and what was made. Jobs, events and checkpoints are the package's own.
"""
