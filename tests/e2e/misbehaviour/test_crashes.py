"""What was to go wrong still does, and goes right in the end, after kill -9."""

import asyncio

import aiohttp

from tests.e2e.misbehaviour.conftest import Receiver, Shop, StartGateway, verdicts


async def test_what_is_held_and_the_steps_of_a_chain_survive_a_kill(
    start_gateway: StartGateway, http: aiohttp.ClientSession, receiver: Receiver
) -> None:
    chain = {"reference": "chained", "paymentMethod": "pm_500|pm_429|pm_card_visa"}
    async with start_gateway() as gateway:
        shop = Shop(http, gateway.url, receiver)
        held = await shop.paid(scenario={"webhooks": ["out_of_order", "bad_signature"], "webhookDelaySeconds": 604800})
        replies = [await shop.charge("key", **chain)]
        gateway.kill()
        await asyncio.to_thread(gateway.start)
        replies += [await shop.charge("key", **chain) for _ in range(2)]
        assert [reply.status for reply in replies] == [500, 429, 201]
        heard = await shop.hears_truth(held["id"])
        assert [verdicts(one) for one in heard] == [[False, False], [True, True]]
        true = receiver.asked.index(shop.heard(replies[-1].json["id"])[0])
        assert true < receiver.asked.index(heard[0])
