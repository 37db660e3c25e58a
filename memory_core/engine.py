"""The four operations on a MemoryState: observe, infer, surprise, consolidate.  (first contract; bodies follow)

observe and consolidate DONATE their input state: the caller keeps only the returned one (``state.clone()`` first
for a snapshot). On any error the input state is unchanged. infer and surprise never change the state.
"""
