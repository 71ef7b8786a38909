"""The OpenAI-compatible interface: model directories -> answers over HTTP.

directories -> models by name (registry) -> one thread that steps them (engine) <- requests (api, writing, tasks)
"""
