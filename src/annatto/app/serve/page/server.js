// Questions to the server that this page came from, and the same as a command.

const KEY = "annatto-key";

// What the server refused, in its own sentence.
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

// Until the tab is closed.
export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

// The answer to GET, or to POST where there is a body.
export async function ask(path, body, signal) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const method = body ? "POST" : "GET";
  let reply;
  try {
    reply = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("the server does not answer; is it still running?", 0);
  }
  const told = await reply.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return null;
  });
  if (reply.ok && told) return told;
  const message = told?.error?.message ?? `the server answered with status ${reply.status}.`;
  throw new Refused(message, reply.status);
}

// A command for a shell; the key is left to its variable.
export function curl(path, body) {
  const words = ["curl", "-sS", quoted(new URL(path, location.href).href)];
  words.push("-H", quoted("Content-Type: application/json"));
  if (hasKey()) words.push("-H", '"Authorization: Bearer $ANNATTO_API_KEY"');
  words.push("-d", quoted(JSON.stringify(body)));
  return words.join(" ");
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
