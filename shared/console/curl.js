/** Requests as commands to paste into a shell. */

import { apiKey } from "./api.js";

/** @param {string} text @returns {string} one word of a POSIX shell */
export function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * A request as curl. The API key is never in it: `$API_KEY` stands in its place.
 * @param {{ method: string, path: string, headers?: Record<string, string>, body?: string | null }} request
 */
export function curl({ method, path, headers = {}, body = null }) {
  const lines = [`curl -i ${body === null && method !== "GET" ? `-X ${method} ` : ""}${quoted(absolute(path))}`];
  if (body !== null && method !== "POST") lines[0] = `curl -i -X ${method} ${quoted(absolute(path))}`;
  for (const [name, value] of Object.entries(headers)) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (apiKey()) lines.push(`-H "Authorization: Bearer $API_KEY"`);
  if (body !== null) lines.push(`--data-raw ${quoted(body)}`);
  return lines.join(" \\\n  ");
}

/**
 * A webhook as curl that signs itself when it runs, with `$WEBHOOK_SECRET`: the secret is not on the page. The body is sent
 * byte for byte.
 * @param {{ path: string, body: string }} webhook `path` may also be a whole URL
 */
export function signedCurl({ path, body }) {
  return [
    `BODY=${quoted(body)}`,
    `T=$(date +%s)`,
    `SIGNATURE=$(printf '%s.%s' "$T" "$BODY" | openssl dgst -sha256 -hmac "$WEBHOOK_SECRET" | sed 's/.* //')`,
    `printf '%s' "$BODY" | curl -i ${quoted(absolute(path))} \\\n  -H 'Content-Type: application/json' \\\n` +
      `  -H "X-Signature: t=$T,v1=$SIGNATURE" \\\n  --data-binary @-`,
  ].join("\n");
}

/** @param {string} path */
function absolute(path) {
  return new URL(path, location.origin).href;
}
