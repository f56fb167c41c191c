"""A thousand pictures: many photographs in many styles, on Dask's distributed scheduler (extra ``batch``).

The client reads files and writes files; the workers decode, paint and encode. They share no folder.
"""
