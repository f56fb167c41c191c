"""The scripts that draw our own pictures.

The two sample pictures: ``python -m lessons.scenes.render``. Small scenes in ten manners, for lesson 16: `motifs` and
`manners`.
"""
