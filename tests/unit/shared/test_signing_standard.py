"""The headers of Standard Webhooks 1.0.0. That a receiver takes them is in test_signing_interoperability.py."""

from shared.signing import sign_standard

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = f"whsec_{'A' * 32}"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_vector_is_what_we_sign() -> None:
    """FACTS, Signatures 3."""
    assert sign_standard(BODY, [SECRET], SENT, ID) == {
        "webhook-id": ID,
        "webhook-timestamp": str(SENT),
        "webhook-signature": SIGNATURE,
    }


def test_during_a_rotation_there_is_a_signature_for_each_secret() -> None:
    both = sign_standard(BODY, [SECRET, OTHER_SECRET], SENT, ID)["webhook-signature"].split(" ")
    [other] = sign_standard(BODY, [OTHER_SECRET], SENT, ID)["webhook-signature"].split(" ")
    assert both == [SIGNATURE, other]
