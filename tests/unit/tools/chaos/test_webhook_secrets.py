"""Which webhook secret is good at which time of a run."""

from random import Random

from tools.chaos.webhook_secrets import WebhookSecrets


def test_a_new_secret_is_accepted_beside_the_old_until_that_is_retired() -> None:
    secrets = WebhookSecrets(Random(1))
    [old] = secrets.accepted
    new = secrets.add()
    assert (secrets.accepted, secrets.retired) == ([new, old], [])
    secrets.retire_the_old()
    assert (secrets.accepted, secrets.retired) == ([new], [old])


def test_a_rotation_that_broke_off_is_made_good_by_the_next() -> None:
    secrets = WebhookSecrets(Random(1))
    older = [secrets.add(), *secrets.accepted[1:]]
    new = secrets.add()
    secrets.retire_the_old()
    assert (secrets.accepted, secrets.retired) == ([new], older)


def test_every_secret_is_another_and_all_are_known_to_whoever_looks_for_them_in_logs() -> None:
    secrets = WebhookSecrets(Random(1))
    ever = {*secrets, secrets.add(), secrets.add()}
    secrets.retire_the_old()
    assert len(ever) == 3
    assert set(secrets) == ever
