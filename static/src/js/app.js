// What every page needs. No page logic here: pages work without it, this makes them pleasant.

const root = document.documentElement;

function remember(name, choice) {
  if (choice) root.dataset[name] = choice;
  else delete root.dataset[name];
  try {
    if (choice) localStorage.setItem(`hindsight.${name}`, choice);
    else localStorage.removeItem(`hindsight.${name}`);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  showChoices();
  // Charts and the editor draw with colours they read from the tokens.
  document.dispatchEvent(new CustomEvent("hindsight:theme"));
}

function showChoices() {
  for (const button of document.querySelectorAll("button[data-choose]")) {
    const isChosen = (root.dataset[button.dataset.choose] ?? "") === button.value;
    button.setAttribute("aria-pressed", String(isChosen));
  }
}

function toast(sentence) {
  const box = document.getElementById("toast");
  box.textContent = sentence;
  box.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => (box.hidden = true), 8000);
}

async function copyText(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1500);
  } catch {
    source.select?.();
  }
}

function askFirst(form, submitter) {
  const dialog = document.getElementById("confirm");
  dialog.querySelector("p").textContent = form.dataset.confirm;
  dialog.querySelector("[value=yes]").textContent = form.dataset.confirmLabel ?? submitter?.textContent.trim() ?? "Yes";
  dialog.returnValue = "";
  dialog.showModal();
  dialog.addEventListener(
    "close",
    () => {
      if (dialog.returnValue !== "yes") return;
      form.dataset.confirmed = "yes";
      form.requestSubmit(submitter);
      delete form.dataset.confirmed;
    },
    { once: true },
  );
}

document.addEventListener("click", (event) => {
  const chooser = event.target.closest("button[data-choose]");
  if (chooser) remember(chooser.dataset.choose, chooser.value);
  const copier = event.target.closest("button[data-copy]");
  if (copier) copyText(copier);
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// <form data-confirm="Delete this run?">: asks in a dialog, also before htmx sends it.
document.addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    if (!form.dataset.confirm || form.dataset.confirmed) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    askFirst(form, event.submitter);
  },
  true,
);

// A second click on a slow button must not start a second run.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  const button = event.submitter;
  if (button) setTimeout(() => (button.disabled = true));
});
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
});

document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  toast(status === 404 ? "This is gone; reload the page." : `The server answered with an error (${status}).`);
});
document.addEventListener("htmx:sendError", () => toast("The server cannot be reached. Trying again does no harm."));
// An expired session redirects a fragment to the sign-in page: show that page, not a page inside a page.
document.addEventListener("htmx:beforeSwap", (event) => {
  const address = new URL(event.detail.xhr.responseURL || location.href);
  if (address.pathname.startsWith("/accounts/login")) {
    event.detail.shouldSwap = false;
    location.reload();
  }
});

// What scrolls must scroll by keyboard too.
function letKeysScroll() {
  for (const box of document.querySelectorAll(".table-scroll, .code, .log")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
  }
}
document.addEventListener("htmx:afterSettle", letKeysScroll);
addEventListener("resize", letKeysScroll);

showChoices();
letKeysScroll();
