// Calls of the gateway that serves the page. The key is a variable of this module: it is gone when the page is left.

let key = null;
let onRefused = () => {};

/** Use this key from now on; null forgets it. */
export function useKey(text) {
  key = text;
}

/** What to do when the gateway no longer knows the key. */
export function whenRefused(listener) {
  onRefused = listener;
}

/** An error of the gateway, or of the way there. `status` is 0 if nothing responded. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = null, param = null, requestId = null } = {}) {
    super(message);
    Object.assign(this, { status, code, param, requestId });
  }
}

/** The JSON of a response. `query` may have null for what is left out. Raises ApiError. */
export async function call(method, path, { query, body, signal } = {}) {
  return (await send(method, path, { query, body, signal })).json();
}

/** The text of a response. Raises ApiError. */
export async function text(path, query) {
  return (await send("GET", path, { query })).text();
}

/** A response with a good status. Raises ApiError, and AbortError if `signal` ends the request. */
export async function send(method, path, { query = {}, body, signal } = {}) {
  const url = new URL(path, new URL(".", location.href)); // behind a stage of API Gateway the path has a prefix
  for (const [name, value] of Object.entries(query)) if (value !== null) url.searchParams.set(name, value);
  const headers = { authorization: `Bearer ${key}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(url, {
      method,
      headers,
      signal,
      credentials: "omit",
      cache: "no-store",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(navigator.onLine ? "The gateway does not respond." : "This device is offline.");
  }
  if (!response.ok) throw await failure(response);
  return response;
}

async function failure(response) {
  const requestId = response.headers.get("x-request-id");
  const status = response.status;
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    // A proxy responded, or Lambda itself: there is no JSON of the gateway.
  }
  const message = error.message ?? `The response has the status ${status} and no explanation.`;
  const found = new ApiError(message, { status, code: error.code, param: error.param, requestId });
  if (status === 401) onRefused(found);
  return found;
}

/** The JSON of each event of a stream, as they come. Raises ApiError for an event with an error. */
export async function* events(response) {
  const requestId = response.headers.get("x-request-id");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new ApiError("The connection broke off.", { requestId });
    });
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
      const event = JSON.parse(line.slice("data: ".length));
      if (event.error) throw new ApiError(event.error.message, { code: event.error.code, requestId });
      yield event;
    }
  }
}
