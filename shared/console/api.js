/** Requests to the service that this page comes from, with the API key where one is needed. */

const KEY = "api-key";
const CONFIG_TRIES = 6; // they take some seconds, in which a service can restart

/**
 * @typedef {object} Config The members of `/console/config.json`.
 * @property {string} service
 * @property {string} version
 * @property {boolean} needsKey
 * @property {boolean} development
 * @property {boolean} testEndpoints
 * @property {string | null} [gatewayConsoleUrl]
 * @property {string | null} [orderConsoleUrl]
 */

/**
 * @typedef {object} Answer One request and its answer.
 * @property {number} status
 * @property {number} ms
 * @property {Headers} headers
 * @property {any} body decoded if it is JSON, otherwise the text
 * @property {string} text
 * @property {SentRequest} request
 */

/** @typedef {{ method: string, path: string, headers: Record<string, string>, body: string | null }} SentRequest */

/** An answer that is not 2xx, or none at all. `problem` is the problem document, if there is one. */
export class ApiError extends Error {
  /** @param {string} message @param {Answer | null} answer */
  constructor(message, answer = null) {
    super(message);
    this.answer = answer;
    this.status = answer?.status ?? 0;
    this.problem = answer?.body?.title ? answer.body : null;
  }
}

/** Loads the config, before a page asks for anything else. @returns {Promise<Config>} */
export async function loadConfig() {
  takeKeyFromFragment();
  for (let tried = 1; ; tried++) {
    try {
      return (await request("GET", "/console/config.json")).body;
    } catch (error) {
      if (tried === CONFIG_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, tried * 500));
    }
  }
}

/** `GET path` with a query; parameters that are empty are left out. Raises ApiError.
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} [query]
 * @param {AbortSignal} [signal]
 */
export async function get(path, query = {}, signal) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return (await request("GET", search ? `${path}?${search}` : path, { signal })).body;
}

/**
 * Sends a request. Raises ApiError for an answer that is not 2xx, unless `anyStatus`.
 * @param {string} method
 * @param {string} path
 * @param {{ body?: any, key?: string, headers?: Record<string, string>, anyStatus?: boolean, signal?: AbortSignal }} [options]
 *   `body` is sent as JSON, or as it is if it is a string; `key` is the Idempotency-Key
 * @returns {Promise<Answer>}
 */
export async function request(method, path, { body, key, headers = {}, anyStatus = false, signal } = {}) {
  const sent = { method, path, headers: { ...headers }, body: null };
  if (body !== undefined) {
    sent.headers["Content-Type"] = "application/json";
    sent.body = typeof body === "string" ? body : JSON.stringify(body);
  }
  if (key) sent.headers["Idempotency-Key"] = `"${key}"`;
  const began = performance.now();
  const answer = await fetch(path, { method, headers: { ...sent.headers, ...authorization() }, body: sent.body, signal, cache: "no-store" })
    .then(async (response) => ({ response, text: await response.text() }))
    .catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new ApiError("The service does not answer.");
    });
  const { response, text } = answer;
  const ms = Math.round(performance.now() - began);
  const made = { status: response.status, ms, headers: response.headers, body: decoded(text, response), text, request: sent };
  if (response.status === 401 && made.body?.type === "/problems/unauthenticated") {
    document.dispatchEvent(new CustomEvent("key-needed", { detail: Boolean(apiKey()) }));
  }
  if (!response.ok && !anyStatus) throw new ApiError(explanation(made), made);
  return made;
}

/** A fresh Idempotency-Key. `crypto.randomUUID` is missing on pages that came by plain HTTP from another machine. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The API key of this tab, or an empty string. */
export function apiKey() {
  return sessionStorage.getItem(KEY) ?? "";
}

/** @param {string} key */
export function keepApiKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** @returns {Record<string, string>} */
export function authorization() {
  return apiKey() ? { Authorization: `Bearer ${apiKey()}` } : {};
}

/** A link may end in `#key=<API key>`: it is kept, and taken out of the address and the history. */
function takeKeyFromFragment() {
  const given = /^#key=([^&]*)(?:&(.*))?$/.exec(location.hash);
  if (!given) return;
  keepApiKey(decodeURIComponent(given[1]));
  history.replaceState(null, "", `${location.pathname}#${given[2] ?? "/"}`);
}

function decoded(text, response) {
  if (!/json/.test(response.headers.get("Content-Type") ?? "")) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function explanation({ status, body }) {
  if (!body?.title) return `HTTP ${status}`;
  const fields = (body.errors ?? []).map(({ pointer, detail }) => `${pointer.replace(/^\//, "")}: ${detail}`);
  return [body.title, fields.length ? fields.join("; ") : body.detail].filter(Boolean).join(". ");
}
