// Sends one chat request, shows the answer as it comes, and what it took.

import { ApiError, call, events, send } from "./api.js";
import { announce, h, replace } from "./dom.js";
import { count, duration, usd } from "./format.js";
import { field } from "./fields.js";
import { button, errorNote, facts, heading, panel } from "./parts.js";

export const title = "Playground";

export function render({ left }) {
  const run = new Run(left);
  const models = h("datalist", { id: "models" });
  const model = field("Model", "model", { list: "models", required: true, value: "" });
  const form = h(
    "form",
    {
      class: "stack",
      autocomplete: "off",
      on: {
        submit: (event) => {
          event.preventDefault();
          run.start(new FormData(form));
        },
      },
    },
    model,
    models,
    field("System prompt", "system", { rows: 2 }, { tag: "textarea" }),
    field("Message", "message", { rows: 5, required: true }, { tag: "textarea" }),
    h(
      "div",
      { class: "row" },
      field(
        "Temperature",
        "temperature",
        { type: "number", min: 0, max: 2, step: 0.1 },
        { hint: "Empty: the model's own" },
      ),
      field(
        "Max. tokens",
        "max_tokens",
        { type: "number", min: 1, step: 1 },
        { hint: "Empty: no limit but the model's" },
      ),
    ),
    h("div", { class: "actions" }, run.stop, run.send),
  );
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  offerModels(models, model.querySelector("input"), run.note);
  return h(
    "div",
    { class: "view" },
    heading(title),
    h("div", { class: "panels" }, panel("Request", {}, form), panel("Answer", {}, run.output, run.note, run.figures)),
  );
}

async function offerModels(list, input, note) {
  try {
    const { data } = await call("GET", "v1/models");
    const names = data.filter((each) => each.operations.includes("chat")).map((each) => each.id);
    list.append(...names.map((name) => h("option", { value: name })));
    if (!input.value) input.value = names[0] ?? "";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    replace(note, errorNote(error));
  }
}

/** One request after another: what is shown of it. */
class Run {
  constructor(left) {
    this.output = h(
      "div",
      { class: "answer empty", tabindex: 0, role: "region", "aria-label": "Answer" },
      "The answer appears here.",
    );
    this.note = h("div");
    this.figures = h("div");
    this.send = h("button", { class: "primary" }, "Send");
    this.stop = button("Stop", () => this.ending.abort(), { disabled: true });
    this.ending = new AbortController();
    left.addEventListener("abort", () => this.ending.abort());
  }

  async start(form) {
    this.ending = new AbortController();
    this.began = performance.now();
    Object.assign(this, { first: null, usage: null, finish: null, provider: null, requestId: null });
    this.output.className = "answer waiting";
    replace(this.output);
    replace(this.note);
    replace(this.figures);
    this.working(true);
    announce("The request is sent.");
    try {
      await this.read(form);
      this.finished(`Finished after ${duration(performance.now() - this.began)}.`);
    } catch (error) {
      this.failed(error);
    } finally {
      this.output.classList.remove("waiting");
      this.working(false);
    }
  }

  /** The buttons: while one of them is disabled the focus is on the other. */
  working(is) {
    const hadFocus = [this.send, this.stop].includes(document.activeElement);
    this.stop.disabled = !is;
    this.send.disabled = is;
    if (hadFocus) (is ? this.stop : this.send).focus();
  }

  async read(form) {
    const response = await send("POST", "v1/chat/completions", { body: bodyOf(form), signal: this.ending.signal });
    this.requestId = response.headers.get("x-request-id");
    this.provider = response.headers.get("x-tollgate-provider");
    for await (const event of events(response)) this.take(event);
  }

  take(event) {
    const [answer] = event.choices ?? [];
    const text = answer?.delta?.content ?? "";
    if (text) {
      this.output.classList.remove("empty", "waiting");
      if (this.first === null) {
        this.first = performance.now() - this.began;
        announce(`The answer begins after ${duration(this.first)}.`);
      }
      this.output.append(text);
    }
    this.finish = answer?.finish_reason ?? this.finish;
    this.provider = event.provider ?? this.provider;
    this.usage = event.usage ?? this.usage;
  }

  finished(sentence) {
    if (!this.output.textContent) replace(this.output, h("span", { class: "muted" }, "The answer has no text."));
    announce(sentence);
    this.showFigures();
  }

  failed(error) {
    if (error.name === "AbortError") {
      replace(
        this.note,
        h(
          "p",
          { class: "note" },
          "Stopped. What was generated until then is billed; its cost is under ",
          h("a", { href: "#/requests" }, "Requests"),
          ".",
        ),
      );
      announce("Stopped.");
    } else if (error instanceof ApiError) {
      replace(this.note, errorNote(error));
    } else {
      throw error;
    }
    this.showFigures();
  }

  showFigures() {
    const { usage } = this;
    replace(
      this.figures,
      facts(
        ["Cost", usage && usd(usage.cost)],
        ["Tokens", usage && `${count(usage.prompt_tokens)} in, ${count(usage.completion_tokens)} out`],
        ["First token", this.first === null ? null : duration(this.first)],
        ["Whole time", duration(performance.now() - this.began)],
        ["Provider", this.provider],
        ["Finish", this.finish],
        ["Request", this.requestId && h("code", {}, this.requestId)],
      ),
    );
  }
}

function bodyOf(form) {
  const system = form.get("system").trim();
  const number = (name) => (form.get(name) === "" ? undefined : Number(form.get(name)));
  return {
    model: form.get("model").trim(),
    messages: [
      ...(system ? [{ role: "system", content: system }] : []),
      { role: "user", content: form.get("message") },
    ],
    temperature: number("temperature"),
    max_tokens: number("max_tokens"),
    stream: true,
    stream_options: { include_usage: true },
  };
}
