/** Every fault that happens by itself, in plain words. A test compares this list with the service's. */

export const GROUPS = [
  {
    title: "How payments end",
    faults: {
      declined: ["Declined", "The charge fails with card_declined."],
      disputed: ["Disputed", "The customer's bank takes the money back after it has succeeded."],
      refund_failed: ["Refund fails", "The refund fails after all."],
      settle_slow: ["Settles slowly", "It stays pending for longer."],
      wrong_amount: ["Wrong amount", "One more event about it, with an amount that is off."],
    },
  },
  {
    title: "How replies go wrong",
    faults: {
      reply_lost: ["Reply lost", "It is done, and the connection closes without an answer."],
      reply_timeout: ["Reply times out", "It is done, and there is silence before the connection closes."],
      reply_slow: ["Reply slow", "It is done, and answered late."],
      reply_too_many_requests: ["Reply 429", "Nothing is done: too many requests, with Retry-After."],
      reply_server_error: ["Reply 500", "Nothing is done: an internal error."],
      reply_unavailable: ["Reply 503", "Nothing is done: unavailable, with Retry-After."],
      reply_malformed_json: ["Malformed reply", "It is done, and answered 201 with JSON that is cut off."],
      reply_wrong_reference: ["Wrong reference", "It is done, and answered 201 about another reference."],
    },
  },
  {
    title: "How webhooks go wrong",
    faults: {
      webhook_delayed: ["Webhook delayed", "Delivered much later."],
      webhook_dropped: ["Webhook dropped", "Never delivered, until it is resent."],
      webhook_early: ["Webhook early", "Delivered before the reply to the POST."],
      webhook_out_of_order: ["Webhook out of order", "Delivered after the endpoint's next event."],
      webhook_duplicated: ["Webhook duplicated", "Delivered more than once."],
      webhook_bad_signature: ["Bad signature", "First a forgery, signed with nobody's secret."],
      webhook_stale_timestamp: ["Stale", "First a replay, signed an hour ago."],
      webhook_tampered_body: ["Tampered body", "First a forgery, whose amount was changed after signing."],
      webhook_retired_secret: ["Retired secret", "First a forgery, signed with a secret that no longer signs."],
    },
  },
];

/** @type {Record<string, string>} */
const NAMES = Object.fromEntries(GROUPS.flatMap(({ faults }) => Object.entries(faults).map(([name, [title]]) => [name, title])));

/** @param {string} name as in the API */
export function faultName(name) {
  return NAMES[name] ?? name;
}

/** The forgeries that an event can be resent as. */
export const FORGERIES = {
  bad_signature: ["Bad signature", "Signed with nobody's secret."],
  stale_timestamp: ["Stale", "A good signature that is an hour old."],
  tampered_body: ["Tampered body", "The amount is changed after signing."],
  retired_secret: ["Retired secret", "Signed with a secret that no longer signs."],
};
