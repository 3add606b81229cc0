"""`make openapi`: writes the OpenAPI document of each service beside its code, from where the service serves it.

`document.py` asks the handlers and `schemas.py` the structs. `order_api.py` and `payment_gateway.py` say what only people
know: how a service is meant to be used, and examples.
"""
