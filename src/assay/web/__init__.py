"""What services over HTTP share: keys, limits, errors, a port.

a port that is free (address) -> the server runs (running) -> every request passes the guard:
headers -> key -> size, type and encoding of the body -> the service, whose errors become JSON (errors)
"""
