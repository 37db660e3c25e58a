"""The demonstration: one run through everything a memory does, on text that every machine has."""
