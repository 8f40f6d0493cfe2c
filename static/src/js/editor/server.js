// Talking to the server: every answer is either data or a sentence that can be shown.

export class Refusal extends Error {
  constructor(message, { status = 0 } = {}) {
    super(message);
    this.status = status;
  }
}

// The cookie, not the page's field: signing in again in another tab makes a new one.
function csrfToken() {
  const match = /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie);
  return match ? match[1] : document.querySelector("[name=csrfmiddlewaretoken]").value;
}

export async function post(address, fields, { signal } = {}) {
  let response;
  try {
    response = await fetch(address, {
      method: "POST",
      body: new URLSearchParams(fields),
      headers: { Accept: "application/json", "X-CSRFToken": csrfToken() },
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server cannot be reached. Your text stays here; try again.");
  }
  const isJson = (response.headers.get("Content-Type") ?? "").startsWith("application/json");
  if (response.redirected || response.status === 403) {
    throw new Refusal("You are signed out. Sign in in another tab, then save again; your text stays here.", { status: 403 });
  }
  if (!isJson) {
    throw new Refusal(`The server answered with an error (${response.status}). Your text stays here.`, response);
  }
  const body = await response.json();
  if (!response.ok) {
    throw new Refusal(body.message || `The server refused (${response.status}).`, response);
  }
  return body;
}
