"""A second, independent verifier, written from the pages in spec/ alone.

Each module is named for the page it implements and its docstrings name the sections.
"""
