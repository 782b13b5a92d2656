// The frame of the page: sign-in, navigation by the fragment of the address, colours, the end of a session.

import { useKey, whenRefused } from "./api.js";
import { announce, focusHeading, h, replace } from "./dom.js";
import * as keys from "./keys.js";
import * as overview from "./overview.js";
import { button } from "./parts.js";
import * as playground from "./playground.js";
import * as requests from "./requests.js";
import { signIn } from "./signin.js";
import * as spend from "./spend.js";
import * as teams from "./teams.js";

const VIEWS = [
  ["overview", overview],
  ["requests", requests],
  ["playground", playground],
];
const ADMIN_VIEWS = [
  ["keys", keys],
  ["teams", teams],
  ["spend", spend],
];
const header = document.getElementById("header");
const main = document.getElementById("main");
const offline = h("p", { class: "offline", role: "status" });
let session = null;
/** What `GET /v1/key` says of the key, while one is signed in. */
let left = new AbortController();
/** Aborted when the view is left. */

function start(found) {
  session = found;
  whenRefused(() => signOut("The gateway no longer accepts the key."));
  announce("Signed in.");
  showView();
}

function signOut(reason = "") {
  left.abort();
  useKey(null);
  session = null;
  whenRefused(() => {});
  for (const dialog of document.querySelectorAll("dialog")) dialog.remove();
  history.replaceState(null, "", location.pathname + location.search);
  showSignIn(reason);
}

function showSignIn(reason) {
  document.title = "Tollgate";
  document.body.className = "signed-out";
  replace(header, brand(), themeButton());
  replace(main, offline, signIn(start, reason));
}

function showView() {
  if (session === null) return;
  left.abort();
  left = new AbortController();
  const [name, query] = location.hash.replace(/^#\/?/, "").split("?");
  const known = available();
  const [shown, view] = known.find((each) => each[0] === name) ?? known[0];
  document.title = `${view.title} – Tollgate`;
  document.body.className = "";
  showHeader(known, shown);
  replace(main, offline, view.render({ session, query: new URLSearchParams(query), left: left.signal }));
  focusHeading();
  scrollTo(0, 0);
}

const available = () => (session.is_management_key ? [...VIEWS, ...ADMIN_VIEWS] : VIEWS);

function showHeader(views, shown) {
  const link = ([name, view]) =>
    h("a", { href: `#/${name}`, "aria-current": name === shown ? "page" : null }, view.title);
  const role = session.is_management_key ? "admin" : "user";
  replace(
    header,
    brand(),
    h("nav", { "aria-label": "Views" }, views.map(link)),
    h(
      "div",
      { class: "whoami" },
      h("span", { class: "who" }, session.label, h("small", {}, `${session.key_id}, ${role}`)),
      themeButton(),
      button("Sign out", () => signOut(), { kind: "quiet" }),
    ),
  );
}

function brand() {
  return h(
    "span",
    { class: "brand" },
    h("img", { src: "dashboard/icon.svg", alt: "", width: 24, height: 24 }),
    "Tollgate",
  );
}

/** A button that changes between light and dark; until it is pressed the page follows the system. */
function themeButton() {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const now = () => root.dataset.theme ?? system;
  const label = () => (now() === "dark" ? "Light" : "Dark");
  const press = () => {
    root.dataset.theme = now() === "dark" ? "light" : "dark";
    toggle.textContent = label();
  };
  const toggle = button(label(), press, { kind: "quiet", title: "Change the colours" });
  return toggle;
}

function showConnection() {
  offline.textContent = navigator.onLine ? "" : "This device is offline. What is shown may be old.";
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment of the address is the view
  main.focus();
});
addEventListener("hashchange", showView);
addEventListener("online", showConnection);
addEventListener("offline", showConnection);
showConnection();
showSignIn("");
