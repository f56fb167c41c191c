"""One reader for each format of weights files.

A reader is a context manager, ``open_x(path)``, that yields the `Contents` of the file: its layers as
arrays that are not read yet, and what it states about itself. It knows nothing of what a VGG must
look like; `nnstyle.weights.loading` chooses the reader and checks what it found. All are tried with damaged
and hostile files by ``python -m tests.campaigns.fuzz --only weights``.
"""
