"""Who may do what: keys, principals, tenants, limits and the record of destructive calls.

Every door puts ``Authentication`` around its ASGI app and hands its routes an ``AuthorizedBackend``.
"""
