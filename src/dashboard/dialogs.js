// Dialogs: a form that is sent, a question before something that cannot be undone, a secret that is shown once.

import { ApiError } from "./api.js";
import { announce, focusHeading, h, newId, replace } from "./dom.js";
import { button, errorNote } from "./parts.js";

/** Open a dialog; it is removed when it closes, and the focus goes back to where it was. */
function open(title, ...children) {
  const id = newId("dialog");
  const dialog = h("dialog", { "aria-labelledby": id }, h("h2", { id }, title), ...children);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (document.activeElement === document.body) focusHeading(); // what had opened it was replaced
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * A form in a dialog. `fields` are elements; `submit` gets the form's FormData, sends it, and
 * may return what is done once the dialog is closed. Its ApiError is shown in
 * the dialog, and the field that it names gets the focus.
 */
export function formDialog({ title, fields, action, submit, kind = "primary" }) {
  const note = h("div");
  const confirm = h("button", { class: kind }, action);
  const form = h(
    "form",
    { autocomplete: "off", on: { submit: send } },
    fields,
    note,
    h(
      "div",
      { class: "actions" },
      button("Cancel", () => dialog.close()),
      confirm,
    ),
  );
  const dialog = open(title, form);

  async function send(event) {
    event.preventDefault();
    confirm.disabled = true;
    replace(note);
    try {
      const next = await submit(new FormData(form));
      dialog.close();
      next?.();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      replace(note, errorNote(error));
      const field = error.param && form.elements.namedItem(error.param);
      if (field?.focus) field.focus();
    } finally {
      confirm.disabled = false;
    }
  }
}

/** Ask before `act` is done. */
export function confirmDialog({ title, text, action, act }) {
  formDialog({ title, fields: [h("p", {}, text)], action, submit: act, kind: "danger" });
}

/** Say that what a dialog needs could not be read. */
export function errorDialog(error) {
  const dialog = open(
    "This did not work",
    errorNote(error),
    h(
      "div",
      { class: "actions" },
      button("Close", () => dialog.close()),
    ),
  );
}

/** Show a new key, which the gateway tells once. */
export function secretDialog(title, secret) {
  const id = newId("secret");
  const field = h("input", { id, class: "secret", readonly: true, value: secret, on: { focus: () => field.select() } });
  const copy = button(
    "Copy",
    async () => {
      try {
        await navigator.clipboard.writeText(secret);
        copy.textContent = "Copied";
        announce("The key is copied.");
      } catch {
        field.focus(); // a page without TLS has no clipboard: the text is selected for Ctrl-C
      }
    },
    { kind: "primary" },
  );
  const dialog = open(
    title,
    h("p", {}, "The key is shown only now. Only its hash is stored."),
    h("label", { for: id }, "Key"),
    field,
    h(
      "div",
      { class: "actions" },
      button("Done", () => dialog.close()),
      copy,
    ),
  );
}
