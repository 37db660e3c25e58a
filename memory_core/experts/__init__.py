"""Memories that were taught once and are shipped as a file: what they are taught from, and how they are examined."""
