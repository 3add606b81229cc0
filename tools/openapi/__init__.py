"""`make openapi`: writes the OpenAPI document of each service beside its code, from where the service serves it.

`document.py` asks the handlers, and `schemas.py` the structs, whose fields carry the examples. `words.toml` has the prose.
`order_api.py` and `payment_gateway.py` have the few examples that follow from rules, and the webhooks.
"""
