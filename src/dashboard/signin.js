// The form that asks for a key. The key goes into a variable and nowhere else.

import { ApiError, call, useKey } from "./api.js";
import { h, replace } from "./dom.js";
import { errorNote } from "./parts.js";

/** The form. `start` gets what the gateway says of the key; `reason` is why the last session ended, or empty. */
export function signIn(start, reason) {
  const field = h("input", {
    id: "key",
    type: "password",
    required: true,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    placeholder: "sk-tg-…",
    "aria-describedby": "key-hint",
  });
  const note = h("div", {}, reason ? h("p", { class: "note", role: "alert" }, reason) : null);
  const submit = h("button", { class: "primary" }, "Sign in");

  async function send(event) {
    event.preventDefault();
    submit.disabled = true;
    submit.textContent = "Signing in…";
    const key = field.value.trim();
    try {
      if (/[^!-~]/.test(key)) throw new ApiError("The key has characters that no key has. Copy it again as a whole.");
      useKey(key);
      const { data } = await call("GET", "v1/key");
      field.value = "";
      start(data);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      useKey(null);
      replace(note, errorNote(error));
      field.focus();
    } finally {
      submit.disabled = false;
      submit.textContent = "Sign in";
    }
  }

  queueMicrotask(() => field.focus());
  return h(
    "form",
    { class: "sign-in", autocomplete: "off", on: { submit: send } },
    h("h1", {}, "Sign in"),
    h(
      "p",
      { class: "muted", id: "key-hint" },
      "With a key of this gateway. It stays in the memory of this page, and is forgotten when you reload it.",
    ),
    h("label", { for: "key" }, "Key"),
    field,
    note,
    submit,
  );
}
