"""The signature helper knows the merchant's own secrets, and says which of them has signed."""

from payment_gateway.app import Application
from payment_gateway.controls.check_signature import CheckSignatureRequest, check_signature
from shared.signing import sign
from shared.times import utc_now
from tests.integration.payment_gateway.conftest import SECRET
from tests.integration.payment_gateway.webhooks.test_endpoints import add, configured_id, rotate

OTHER = "whsec_cmV0aXJlZCBzZWNyZXQsIG5vYm9keSB1c2VzIGl0IG5vdw=="


async def explained(application: Application, signed_with: str, *, merchant: str = "default") -> str:
    header = sign(b"{}", [signed_with], int(utc_now().timestamp()))
    asked = CheckSignatureRequest(body="{}", secret=OTHER, headers={"X-Signature": header})
    [verdict] = await check_signature(application.store, application.clock, merchant, asked)
    return " ".join(one.explanation for one in verdict.mistakes)


async def test_the_endpoint_whose_secret_has_signed_is_named(application: Application) -> None:
    endpoint = await add(application, "http://127.0.0.1:1/")
    assert f"the current one of {endpoint.id}" in await explained(application, endpoint.secret)


async def test_a_rotated_secret_is_told_from_the_current_one_and_from_a_retired_one(application: Application) -> None:
    endpoint_id = await configured_id(application)
    await rotate(application, endpoint_id, overlap_seconds=3600)
    assert f"an earlier one of {endpoint_id}, which still signs" in await explained(application, SECRET)
    await rotate(application, endpoint_id, overlap_seconds=0)
    retired = await application.store.webhook_endpoints.find_one({"_id": endpoint_id})
    assert retired is not None
    assert f"an earlier one of {endpoint_id}, which no longer signs" in await explained(
        application, retired["secrets"][-1]["value"]
    )


async def test_the_secrets_of_another_merchant_are_not_tried(application: Application) -> None:
    endpoint = await add(application, "http://127.0.0.1:1/")
    assert endpoint.id not in await explained(application, endpoint.secret, merchant="other")
