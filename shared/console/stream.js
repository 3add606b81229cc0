/**
 * Server-sent events, read with `fetch` because EventSource cannot send an API key. They are only hints that something has
 * changed. A view reads the changes, and everything after a new connection, by the ordinary calls.
 */

import { authorization } from "./api.js";

const SILENCE_MS = 40_000; // a comment comes every 15 s, so a service that is silent for so long is gone
const WAITS_MS = [250, 500, 1000, 2000, 4000];
const TELL_EVERY_MS = 1000;
const MANY = 50; // nobody can follow so many changes at once one by one,
const TELL_MANY_EVERY_MS = 3000; // so views read them less often

/** @typedef {"connecting" | "live" | "reconnecting" | "paused" | "refused"} StreamState */
/** @typedef {{ ids: Map<string, number | null>, again: boolean }} Told ids with their versions; `again`: read everything */

/** The stream of a page. Views subscribe to its changes, and the shell to its state. */
export class Live {
  /** @param {string} path */
  constructor(path) {
    this.path = path;
    this.paused = false;
    /** @type {Set<(told: Told) => void>} */
    this.readers = new Set();
    /** @type {Set<(state: StreamState) => void>} */
    this.watchers = new Set();
    this.connection = "connecting";
    /** @type {AbortController | null} */
    this.connected = null;
    this.ids = new Map();
    this.again = false;
    this.timer = 0;
    this.toldAt = 0;
    this.tellEvery = TELL_EVERY_MS;
  }

  /** @returns {StreamState} */
  get state() {
    return this.connection === "live" && this.paused ? "paused" : this.connection;
  }

  /** Calls `reader` with the changes, at most once a second. It does so while paused too; the view decides what to do then.
   * @param {(told: Told) => void} reader
   * @returns {() => void} ends it
   */
  subscribe(reader) {
    this.readers.add(reader);
    return () => this.readers.delete(reader);
  }

  /** Calls `watcher` now and with each new state. @param {(state: StreamState) => void} watcher */
  watch(watcher) {
    this.watchers.add(watcher);
    watcher(this.state);
    return () => this.watchers.delete(watcher);
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.paused = paused;
    this.#show();
    if (!paused) this.#note({ again: true });
  }

  /** Connects, and connects again whenever the connection ends. Never returns. */
  async start() {
    document.addEventListener("visibilitychange", () => document.hidden && this.connected?.abort());
    addEventListener("pagehide", () => this.connected?.abort());
    for (let failures = 0; ; failures++) {
      await seen();
      const wasLive = await this.#follow().catch(() => false);
      if (wasLive) failures = 0;
      if (this.connection !== "refused") this.#become("reconnecting");
      await pause(WAITS_MS[Math.min(failures, WAITS_MS.length - 1)]);
    }
  }

  async #follow() {
    const silence = (this.connected = new AbortController());
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    let wasLive = false;
    try {
      const headers = { Accept: "text/event-stream", ...authorization() };
      const response = await fetch(this.path, { headers, signal: silence.signal, cache: "no-store" });
      if (!response.ok || !response.body) {
        if (response.status === 401) this.#become("refused");
        return false;
      }
      this.#become("live");
      wasLive = true;
      this.#note({ again: true });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const events = new Events((name, data) => this.#hear(name, data));
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return true;
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        events.feed(value);
      }
    } catch {
      return wasLive;
    } finally {
      clearTimeout(timer);
    }
  }

  #hear(name, data) {
    if (name === "more") this.#note({ again: true });
    else if (name === "message" && data.id) this.#note({ id: data.id, version: data.version ?? null });
  }

  #note({ id, version = null, again = false }) {
    if (id) this.ids.set(id, version);
    this.again ||= again;
    if (this.timer) return;
    const wait = Math.max(0, this.toldAt + this.tellEvery - Date.now());
    this.timer = setTimeout(() => this.#tell(), wait);
  }

  #tell() {
    const told = { ids: this.ids, again: this.again };
    this.tellEvery = this.ids.size > MANY ? TELL_MANY_EVERY_MS : TELL_EVERY_MS;
    this.ids = new Map();
    this.again = false;
    this.timer = 0;
    this.toldAt = Date.now();
    for (const reader of this.readers) reader(told);
  }

  #become(connection) {
    this.connection = connection;
    this.#show();
  }

  #show() {
    for (const watcher of this.watchers) watcher(this.state);
  }
}

/** Splits a text/event-stream into its messages (WHATWG HTML, 9.2.6), however it is cut into pieces. */
export class Events {
  /** @param {(name: string, data: any) => void} tell */
  constructor(tell) {
    this.tell = tell;
    this.rest = "";
    this.name = "message";
    /** @type {string[]} */
    this.data = [];
  }

  /** @param {string} text */
  feed(text) {
    const lines = (this.rest + text).split(/\r\n|\n|\r/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
  }

  #line(line) {
    if (line === "") return this.#end();
    const [, field, value] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
    if (field === "event") this.name = value;
    if (field === "data") this.data.push(value ?? "");
  }

  #end() {
    const [name, data] = [this.name, this.data.join("\n")];
    this.name = "message";
    this.data = [];
    if (data) this.tell(name, JSON.parse(data));
  }
}

/** Waits until the tab is visible: a browser has six connections to a host, and tabs in the background would use them up. */
function seen() {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    look();
  });
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
